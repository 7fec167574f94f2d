import json

from dichoseg.cli.weights_table import as_json, by_hand, description, table
from dichoseg.records import Weights
from dichoseg.weights.cache import own_path

SUM = "0123456789abcdef" * 4
HUB = f"hf://owner/model@{SUM[:40]}/folder/w.pth"
RECORD = Weights(
    name="sky", network="isnet", file="w.pth", addresses=(HUB,), sha256=SUM, preprocessing={"scale": "unit"}
)
PAGE = f"https://huggingface.co/owner/model/resolve/{SUM[:40]}/folder/w.pth"


def test_value_cached_by_its_size(tmp_path, monkeypatch):
    monkeypatch.setenv("DICHOSEG_HOME", str(tmp_path))
    assert " ".join(table([RECORD]).splitlines()[1].split()) == "sky isnet ? not stated unstated no general w.pth"
    own_path(RECORD).parent.mkdir(parents=True)
    own_path(RECORD).write_bytes(b"anything")
    assert json.loads(as_json([RECORD]))[0]["cached"] is True


def test_value_whole_record():
    text = description(RECORD)
    for line in (f"sha256: {SUM}", "license: not stated", "preprocessing: the network's own, scale unit", PAGE):
        assert f"  {line}\n" in f"{text}\n"


def test_value_by_hand():
    assert by_hand(RECORD).splitlines() == [PAGE, f"  sha256 {SUM}", f"  to {own_path(RECORD)}"]
