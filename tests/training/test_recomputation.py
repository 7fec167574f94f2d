import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from dichoseg import (
    GTEncoder,
    Optimization,
    Predictor,
    Preprocessing,
    Segmenter,
    SyntheticDataset,
    create_model,
    export_program,
    fit,
)
from dichoseg.blocks import RSU
from dichoseg.decoders import EdgeGuidedDecoder
from dichoseg.encoders import VGG16Encoder
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision
from dichoseg.training import checkpoint_activations, freeze

TINY = {"channels": [8, 8, 16], "mid_channels": [4, 4, 8], "strides": [2, 4, 8], "stem_channels": 8}
DATA = SyntheticDataset(4, size=64)


def isnet(**changes):
    return create_model("isnet", **{"encoder_args": TINY, "preprocessing": Preprocessing(size=64)} | changes)


def vgg():
    encoder = VGG16Encoder()
    return Segmenter(encoder, EdgeGuidedDecoder(encoder.feature_info, channels=[4, 4, 4, 4, 4]))


MODELS = {
    "rsu": isnet,
    "deconv": lambda: isnet(decoder="deconv"),
    "edge_guided": lambda: isnet(decoder="edge_guided", decoder_args={"channels": [4, 4, 8]}),
    "gt_encoder": lambda: GTEncoder.like(isnet()),
    "resnet": lambda: isnet(encoder="timm:test_resnet", encoder_args={}),
    "resnet that drops": lambda: isnet(encoder="timm:test_resnet", encoder_args={"drop_path_rate": 0.5}),
    "convnext": lambda: isnet(encoder="timm:test_convnext", encoder_args={}),
    "vit": lambda: isnet(encoder="timm:test_vit", encoder_args={"dynamic_img_size": True}),
    "densenet": lambda: isnet(encoder="timm:densenet121", encoder_args={"growth_rate": 4}),
    "vgg": vgg,
}


def made(name):
    torch.manual_seed(0)
    return MODELS[name]().train()


def step(model, *, precision=torch.float32):
    """One forward and backward pass: what it gave and what it left behind."""
    torch.manual_seed(1)
    image = torch.rand(2, model.preprocessing.channels, 64, 96)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        prediction = model(image)
    DeepSupervision(BCELoss())(prediction, (image[:, :1] > 0.5).float()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    return prediction, gradients, dict(model.named_buffers()), torch.rand(1)


def kept(model):
    """Bytes in tensors that are no parameters and are kept for the backward pass."""
    own = {parameter.data_ptr() for parameter in model.parameters()}
    storages = {}

    def pack(tensor):
        if tensor.data_ptr() not in own:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(torch.rand(2, model.preprocessing.channels, 64, 96))
    return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", MODELS)
def test_value_same_step(name, precision):
    plain, frugal = made(name), made(name)
    checkpoint_activations(frugal)
    assert kept(copy.deepcopy(frugal)) < 0.75 * kept(copy.deepcopy(plain))
    results = [step(model, precision=precision) for model in (plain, frugal)]
    (wanted, gradients, buffers, random), (found, same_gradients, same_buffers, same_random) = results
    assert torch.equal(wanted.logits, found.logits)
    assert all(torch.equal(*pair) for pair in zip(wanted.side_logits, found.side_logits, strict=True))
    assert gradients.keys() == same_gradients.keys()
    for key, gradient in gradients.items():
        torch.testing.assert_close(same_gradients[key], gradient, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(buffer, same_buffers[key]) for key, buffer in buffers.items())
    assert all(int(buffer) == 1 for key, buffer in same_buffers.items() if key.endswith("num_batches_tracked"))
    assert torch.equal(random, same_random)


def test_value_batch_norm_without_momentum():
    """Whose running statistics are the mean over all batches, so that it must know their number."""
    models = made("rsu"), made("rsu")
    checkpoint_activations(models[1])
    for model in models:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
        for _ in range(2):
            buffers = step(model)[2]
    assert all(torch.equal(buffer, buffers[key]) for key, buffer in models[0].named_buffers())
    norm = models[1].encoder.stages[0].entry.norm
    assert (norm.momentum, int(norm.num_batches_tracked)) == (None, 2)


def test_value_dropout_draws_the_same_twice():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.Sequential(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 1)))

        def forward(self, x):
            return self.blocks(x)

    net = Net()
    gradients = []
    for enabled in (False, True):
        checkpoint_activations(net, enabled)
        torch.manual_seed(0)
        gradients.append(torch.autograd.grad(net(torch.ones(4, 8)).sum(), net.blocks[0][0].weight)[0])
    assert torch.equal(*gradients)
    assert gradients[0].abs().sum() > 0


def test_value_undone():
    model = made("rsu")
    before = kept(copy.deepcopy(model))
    for enabled in (True, True, False):
        checkpoint_activations(model, enabled)
    assert kept(copy.deepcopy(model)) == before
    assert not any("forward" in vars(module) for module in model.modules())


def test_value_nothing_changes_without_gradients_or_in_eval_mode():
    model = made("rsu")
    plain = copy.deepcopy(model)
    checkpoint_activations(model)
    assert list(model.state_dict()) == list(plain.state_dict())
    assert kept(model.eval()) == kept(plain.eval())
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.train()(image).logits, plain.train()(image).logits)
    assert all(torch.equal(buffer, dict(plain.named_buffers())[key]) for key, buffer in model.named_buffers())


def test_value_a_forward_of_ones_own_stays():
    model = made("rsu")
    stage = model.encoder.stages[0]
    stage.forward = own = lambda features: RSU.forward(stage, features)
    for enabled in (True, False):
        checkpoint_activations(model, enabled)
        assert vars(stage)["forward"] is own


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_value_copies_stand_alone(copied):
    model = made("rsu")
    checkpoint_activations(model)
    other = copied(model)
    assert kept(copy.deepcopy(other)) == kept(copy.deepcopy(model))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    step(other)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert any(parameter.grad is not None for parameter in other.parameters())


def test_value_predicted_and_exported(tmp_path):
    model = made("rsu")
    image = DATA[0].image
    wanted = Predictor(model)(image)
    checkpoint_activations(model)
    assert (Predictor(model)(image) == wanted).all()
    export_program(model, tmp_path / "model.pt2")
    program = torch.export.load(tmp_path / "model.pt2").module()
    with torch.no_grad():
        normalized = model.preprocessing.normalize(image[None])
        torch.testing.assert_close(program(normalized), model.eval().logits(normalized).sigmoid())


def test_value_compiled():
    torch.manual_seed(0)
    two_stages = {"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4], "stem_channels": 8}
    models = [isnet(encoder_args=two_stages).train()]
    models.append(copy.deepcopy(models[0]))
    checkpoint_activations(models[1])
    (_, gradients, _, _), (_, same, _, _) = step(models[0]), step(models[1])
    models[1].zero_grad()
    compiled = torch.compile(made_again := copy.deepcopy(models[1]), backend="aot_eager", fullgraph=True)
    torch.manual_seed(1)
    image = torch.rand(2, 3, 64, 96)
    DeepSupervision(BCELoss())(compiled(image), (image[:, :1] > 0.5).float()).backward()
    for key, parameter in made_again.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[key], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(same[key], gradients[key], rtol=1e-4, atol=1e-6)
    assert int(made_again.encoder.stages[0].entry.norm.num_batches_tracked) == 2


def test_value_frozen_in_part():
    models = made("rsu"), made("rsu")
    for model in models:
        freeze(model.encoder)
    checkpoint_activations(models[1])
    (_, wanted, _, _), (_, found, _, _) = step(models[0]), step(models[1])
    assert wanted.keys() == found.keys()
    assert all(torch.equal(gradient, found[key]) for key, gradient in wanted.items())


@pytest.mark.parametrize("find_unused_parameters", [False, True])
def test_value_in_a_process_of_many(tmp_path, find_unused_parameters):
    models = made("rsu"), made("rsu")
    checkpoint_activations(models[1])
    wanted = step(models[0])[1]
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        parallel = DistributedDataParallel(models[1], find_unused_parameters=find_unused_parameters)
        parallel.preprocessing = models[1].preprocessing
        step(parallel)
    finally:
        torch.distributed.destroy_process_group()
    for key, parameter in models[1].named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[key], rtol=1e-4, atol=1e-6)


def test_value_fit():
    states = []
    for frugal in (False, True):
        model = made("rsu")
        if frugal:
            checkpoint_activations(model)
        fit(model, DATA, epochs=2, batch_size=2, optimization=Optimization(precision="float32"))
        states.append(model.state_dict())
    for key, value in states[0].items():
        torch.testing.assert_close(states[1][key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layers", [nn.Conv2d(3, 3, 1), nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 1, 1))])
def test_error_nothing_to_recompute(layers):
    with pytest.raises(ValueError, match=type(layers).__name__):
        checkpoint_activations(layers)
