import pytest
import torch
from torch import nn

from dichoseg import SyntheticDataset, create_model
from dichoseg.inference.prepare import prepare_for_inference
from dichoseg.training import freeze_batch_norm

from ..export.conftest import with_contrast

CPU = torch.device("cpu")
MODELS = {
    "rsu": lambda: create_model("isnet", encoder_args={"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4]}),
    "deconv": lambda: create_model("isnet", encoder="timm:test_resnet", decoder="deconv"),
    "batch norm with its activation": lambda: create_model("isnet", encoder="timm:test_efficientnet"),
    "a feature used raw and normalized": lambda: create_model("isnet", encoder="timm:test_maxvit", decoder="deconv"),
    "ghost features": lambda: create_model("isnet", encoder="timm:ghostnet_050", decoder="deconv"),
    "no batch norm": lambda: create_model("isnet", encoder="timm:test_convnext", decoder="edge_guided"),
    "a network for masks": lambda: create_model("isnet_gt_encoder", channels=[8, 8], strides=[2, 4]),
}

PARTLY = ("a feature used raw and normalized", "ghost features")


def with_statistics(model):
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if name.endswith("running_mean"):
            value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
        elif name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return model.eval()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("frozen", [False, True])
def test_value_the_function_stays(name, frozen):
    model = with_statistics(MODELS[name]())
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if frozen and norms:
        freeze_batch_norm(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ready = prepare_for_inference(model.train(), precision="float32", device=CPU)
    image = torch.rand(1, model.preprocessing.channels, 65, 97)
    with torch.no_grad():
        torch.testing.assert_close(ready.logits(image), model.eval().logits(image), rtol=1e-4, atol=1e-5)
    left = [module for module in ready.modules() if hasattr(module, "running_var")]
    assert len(left) < len(norms) if name in PARTLY else not left
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.requires_grad for key, parameter in model.named_parameters())


def test_value_layers_of_three_dimensions_stay_in_their_layout():
    model = MODELS["rsu"]()
    model.other = nn.Conv3d(1, 1, 3)
    assert prepare_for_inference(model, precision="float32", device=CPU).other.weight.is_contiguous()


def test_value_weights_are_channels_last():
    ready = prepare_for_inference(MODELS["rsu"](), precision="float32", device=CPU)
    four = [parameter for parameter in ready.parameters() if parameter.ndim == 4 and parameter.shape[1] > 1]
    assert four
    assert all(parameter.is_contiguous(memory_format=torch.channels_last) for parameter in four)


def test_value_bfloat16_is_near():
    torch.manual_seed(0)
    model = with_contrast(with_statistics(MODELS["rsu"]()))
    image = model.preprocessing.normalize(SyntheticDataset(1, size=64)[0].image[None])
    ready = prepare_for_inference(model, precision="bfloat16", device=CPU)
    assert next(ready.parameters()).dtype == torch.bfloat16
    with torch.no_grad():
        near, exact = ready.logits(image.bfloat16()).float().sigmoid(), model.logits(image).sigmoid()
    assert float(exact.std()) > 0.2
    assert float((near - exact).abs().mean()) < 0.01


def test_value_preparing_leaves_random_state_alone(small_isnet):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    prepare_for_inference(small_isnet, precision="float32", device=CPU)
    assert torch.equal(torch.rand(1), expected)
