import json

import pytest

from dichoseg.demo import run_demo


def test_error_untrained_network_does_not_pass(tmp_path):
    with pytest.raises(RuntimeError, match="does not beat the"):
        run_demo(tmp_path / "demo", epochs=1, scenes=8, size=64, held_out=4)
    scores = json.loads((tmp_path / "demo/scores.json").read_text())
    assert set(scores) == {"before", "after", "center prior", "all black"}
    assert (tmp_path / "demo/contact_sheet.png").stat().st_size > 1000
    assert (tmp_path / "demo/run/last/model.safetensors").exists()
