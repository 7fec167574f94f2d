import pytest
import torch

from dichoseg import Predictor
from dichoseg.blocks import resize
from dichoseg.inference.averaging import average_logits

from ..export.conftest import Gray


def brightness(seen):
    """A network that is no linear filter: the mean of each image, plus its columns counted from the left."""

    def run(image):
        seen.append(tuple(image.shape[-2:]))
        columns = torch.arange(image.shape[-1]) / image.shape[-1]
        return image.mean(dim=(1, 2, 3), keepdim=True) + columns.expand(len(image), 1, *image.shape[-2:])

    return run


def test_value_mean_of_six_passes():
    seen = []
    image = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    found = average_logits(brightness(seen), image)
    assert sorted(seen) == sorted(2 * [(48, 72), (64, 96), (72, 108)])
    wanted = []
    for view in (image, image.flip(3)):
        for size in ((48, 72), (64, 96), (72, 108)):
            logits = resize(brightness([])(resize(view, size)), (64, 96))
            wanted.append(logits if view is image else logits.flip(3))
    torch.testing.assert_close(found, sum(wanted) / 6)
    # from left to right the columns of the two directions sum to the same, so only the means of the images are left
    torch.testing.assert_close(found[..., 10:-10], found[..., 40:41].expand(-1, -1, -1, 76), rtol=0, atol=1e-3)


def test_value_one_pass_is_the_network():
    image = torch.rand(1, 3, 65, 97, generator=torch.Generator().manual_seed(0))
    run = brightness([])
    assert torch.equal(average_logits(run, image, scales=(1,), flips=False), run(image))


def test_value_predictor_averages_logits_of_its_scales():
    model = Gray()
    photograph = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = Predictor(model, precision="float32", flips=True, scales=(0.75, 1, 1.125))(photograph)
    with torch.no_grad():
        logits = average_logits(model.logits, model.preprocessing.normalize(photograph[None]))
    torch.testing.assert_close(torch.from_numpy(found), logits.sigmoid()[0, 0], rtol=0, atol=1e-5)


def test_error_scales():
    with pytest.raises(ValueError, match="scales .*0"):
        Predictor(Gray(), scales=(0, 1))
    with pytest.raises(ValueError, match=r"blend.*scales=\(1\.5,\)"):
        Predictor(Gray(), scales=(1.5,), detail="blend")
