import numpy as np
import pytest

from dichoseg.visualize import contact_sheet


def test_shape_sheet():
    rows = [{"image": np.full((20, 40, 3), 0.5, np.float32), "mask": np.ones((20, 40), np.float32)}] * 2
    sheet = np.array(contact_sheet(rows, tile=32))
    assert sheet.shape == (22 + 8 + 2 * 40, 8 + 2 * 40, 3)
    assert tuple(sheet[22 + 8 + 16, 8 + 16]) == (128, 128, 128)
    assert tuple(sheet[22 + 8 + 16, 8 + 40 + 16]) == (255, 255, 255)


def test_error_rows():
    with pytest.raises(ValueError, match="needs rows of the same columns"):
        contact_sheet([])
