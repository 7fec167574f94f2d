import subprocess
import sys

from dichoseg.registry import ComponentName
from dichoseg.weights.inspyrenet_records import RECORDS


def test_value_sizes_they_were_trained_with():
    sizes = {record.file: ComponentName.parse(record.network).keywords["base_size"] for record in RECORDS}
    assert sizes == {"ckpt_base.pth": (1024, 1024), "ckpt_fast.pth": (384, 384)}


def test_value_test_sets_are_named():
    assert all("test set" in record.training_data for record in RECORDS)


def test_value_need_no_torch():
    code = "import sys, dichoseg.weights.inspyrenet_records; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
