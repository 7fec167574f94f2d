import re

from dichoseg.service.counters import Counters


def test_value_figures():
    counters = Counters(waiting=lambda: 3, model_bytes=lambda: 5e6)
    counters.count("/predict", 200, 0.2)
    counters.count("/predict", 429, 0.001)
    lines = counters.text().decode().splitlines()
    assert 'dichoseg_requests_total{path="/predict",status="200"} 1.0' in lines
    assert 'dichoseg_request_seconds_bucket{le="0.1",path="/predict"} 1.0' in lines
    assert 'dichoseg_request_seconds_count{path="/predict"} 2.0' in lines
    assert "dichoseg_waiting 3.0" in lines
    assert "dichoseg_model_bytes 5e+06" in lines


def test_value_metrics_of_the_server(server, photograph):
    def count():
        text = server.ask("/metrics").body.decode()
        assert float(re.search(r"^process_resident_memory_bytes (\S+)", text, re.MULTILINE)[1]) > 1e7
        assert float(re.search(r"^dichoseg_model_bytes (\S+)", text, re.MULTILINE)[1]) > 1e3
        found = re.search(r'^dichoseg_requests_total{path="/predict",status="200"} (\S+)', text, re.MULTILINE)
        return float(found[1]) if found else 0

    before = count()
    server.ask("/predict", photograph)
    assert count() == before + 1
    server.ask("/some/path")
    assert "/some/path" not in server.ask("/metrics").body.decode()
