import pytest
import torch

from dichoseg.runtime.threads import torch_threads


@pytest.mark.parametrize("count", [None, 3])
def test_value_as_many_as_before(count):
    before = torch.get_num_threads()
    with torch_threads(count):
        assert torch.get_num_threads() == (before if count is None else count)
        torch.set_num_threads(5)
    assert torch.get_num_threads() == before
    with pytest.raises(KeyError), torch_threads(count):
        raise KeyError
    assert torch.get_num_threads() == before
