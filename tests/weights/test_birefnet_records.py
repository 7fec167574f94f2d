import subprocess
import sys

from dichoseg import list_components
from dichoseg.preprocessing import Preprocessing
from dichoseg.registry import ComponentName
from dichoseg.weights.birefnet_records import RECORDS


def test_value_networks_and_preprocessing():
    for record in RECORDS:
        wanted = ComponentName.parse(record.network)
        assert wanted.name in list_components("models")
        assert (wanted.name == "birefnet_lite") == ("lite" in record.name)
        assert set(wanted.keywords) == ({"patch_order"} if record.name != "birefnet-lite-matting" else set())
        assert Preprocessing.from_dict({**Preprocessing().to_dict(), **record.preprocessing})


def test_value_names_and_files_once():
    assert len({record.name for record in RECORDS}) == len({record.sha256 for record in RECORDS}) == len(RECORDS)


def test_value_patch_orders():
    rows = {record.name for record in RECORDS if "rows" in record.network}
    assert rows == {"birefnet-hr", "birefnet-hr-matting", "birefnet-dynamic", "birefnet-512"}


def test_value_need_no_torch():
    code = "import sys, dichoseg.weights.birefnet_records; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
