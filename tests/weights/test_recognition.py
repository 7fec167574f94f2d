import pytest
import torch

from dichoseg import create_model, load_model
from dichoseg.weights.matching import published_records
from dichoseg.weights.reading import read_weights
from dichoseg.weights.recognition import looks_like

from .test_loading import authors_state


@pytest.mark.parametrize("name", dict(published_records()))
def test_value_looks_like(name, tmp_path):
    torch.save(authors_state(create_model(name), name), tmp_path / "w.pth")
    assert looks_like(read_weights(tmp_path / "w.pth")) == (name, True)


def test_value_looks_like_in_part(tmp_path):
    state = authors_state(create_model("u2netp"), "u2netp")
    del state["outconv.bias"]
    torch.save(state, tmp_path / "w.pth")
    assert looks_like(read_weights(tmp_path / "w.pth")) == ("u2netp", False)
    torch.save({"x.weight": torch.zeros(1)}, tmp_path / "w.pth")
    assert looks_like(read_weights(tmp_path / "w.pth")) == (None, False)


PLUGIN = """
import torch
from dichoseg import Preprocessing, Segmenter
from dichoseg.decoders import FPNDecoder
from dichoseg.encoders import RSUEncoder
from dichoseg.records import Published

def tiny():
    encoder = RSUEncoder(channels=(4, 8), mid_channels=(2, 4), strides=(2, 4), stem_channels=4)
    return Segmenter(encoder, FPNDecoder(encoder.feature_info, channels=4), preprocessing=Preprocessing(size=64))

def slow():
    raise AssertionError("a network whose names a file does not have must not be built")

def split(state):
    stacked = state.pop("pair.weight")
    for index, part in enumerate((stacked[:, :4], stacked[:, 4:])):
        state[f"decoder.lateral.{index}.weight"] = part[:, :, None, None]
    return state

OURS = {key.rpartition(".")[0] for key in tiny().state_dict()}
NAMES = {f"net_{name.replace('.', '_')}": name for name in sorted(OURS)}
TINY = Published(names={**NAMES, "pair": "pair"}, convert=split)
SLOW = Published(names={"transformer.qkv": "encoder.qkv"})
BROKEN = []
"""


@pytest.fixture
def plugin(install):
    """A package with published networks: one whose files need a conversion, one that cannot be built, one broken."""
    install(
        "tiny",
        "[dichoseg.models]\ntiny = tiny_net:tiny\nslow = tiny_net:slow\n"
        "[dichoseg.published]\ntiny = tiny_net:TINY\nslow = tiny_net:SLOW\nbroken = tiny_net:BROKEN\n",
        tiny_net=PLUGIN,
    )


def their_file(model, path):
    """A file of the authors', who keep two convolutions in one matrix."""
    state = {}
    for key, value in model.state_dict().items():
        module, _, leaf = key.rpartition(".")
        if not (module.startswith("decoder.lateral") and leaf == "weight"):
            state[f"module.net_{module.replace('.', '_')}.{leaf}"] = value
    pair = [model.state_dict()[f"decoder.lateral.{index}.weight"][:, :, 0, 0] for index in range(2)]
    torch.save(state | {"module.pair.weight": torch.cat(pair, dim=1)}, path)


def test_value_published_network_of_a_plugin(plugin, tmp_path, caplog):
    model = create_model("tiny").eval()
    their_file(model, tmp_path / "tiny.pth")
    loaded = load_model(tmp_path / "tiny.pth")
    image = torch.rand(1, 3, 65, 97)
    assert loaded.recipe == {"name": "tiny"}
    assert torch.equal(loaded.logits(image), model.logits(image))
    assert "'broken' in dichoseg.published" in caplog.text
    filled = create_model("tiny", weights=tmp_path / "tiny.pth").eval()
    assert torch.equal(filled.logits(image), model.logits(image))


def test_value_other_networks_are_not_built(plugin, tmp_path, caplog):
    torch.save(create_model("u2netp").state_dict(), tmp_path / "w.pth")
    assert load_model(tmp_path / "w.pth").recipe == {"name": "u2netp"}
    assert "must not be built" not in caplog.text


@pytest.mark.parametrize("fault", ["convert=fails", "convert=lambda state: [1]", "in_order=True"])
def test_value_a_broken_plugin_hides_no_other_network(install, tmp_path, caplog, fault):
    """Not even one whose names are those of the file."""
    install(
        "aaa",
        "[dichoseg.models]\naaa = aaa_net:aaa\n[dichoseg.published]\naaa = aaa_net:AAA\n",
        aaa_net="from dichoseg.models.u2net import U2NET\n"
        "from dichoseg.records import Published\n"
        "def aaa(): raise RuntimeError('needs CUDA kernels')\n"
        "def fails(state): return state['mine']\n"
        f"AAA = Published(names=U2NET.names, {fault})\n",
    )
    model = create_model("u2netp")
    torch.save(authors_state(model, "u2netp"), tmp_path / "w.pth")
    assert load_model(tmp_path / "w.pth").recipe == {"name": "u2netp"}
    assert "is not compared with 'aaa': RuntimeError: needs CUDA kernels" in caplog.text
    torch.save(create_model("isnet").state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match="does not fit this model"):
        create_model("u2netp", weights=tmp_path / "other.pth")


def test_error_a_conversion_that_fails(plugin, tmp_path):
    model = create_model("tiny")
    their_file(model, tmp_path / "tiny.pth")
    state = torch.load(tmp_path / "tiny.pth", weights_only=True)
    state["module.pair.weight"] = torch.zeros(())
    torch.save(state, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match=r"bad.pth cannot be converted: IndexError in split"):
        load_model(tmp_path / "bad.pth")


def test_error_a_conversion_that_the_file_is_too_small_for(plugin, tmp_path):
    model = create_model("tiny")
    their_file(model, tmp_path / "tiny.pth")
    state = torch.load(tmp_path / "tiny.pth", weights_only=True)
    del state["module.pair.weight"]
    torch.save(state | {"module.net_other.weight": torch.zeros(1)}, tmp_path / "part.pth")
    message = r"\(tiny\): missing 1 \(pair\); unexpected 1 \(module.net_other.weight\); it looks like tiny, changed"
    with pytest.raises(ValueError, match=message):
        create_model("tiny", weights=tmp_path / "part.pth")


def test_error_a_conversion_that_returns_no_tensors(plugin, tmp_path):
    their_file(create_model("tiny"), tmp_path / "tiny.pth")
    record = dict(published_records())["tiny"]
    object.__setattr__(record, "convert", lambda state: {key: value.numpy() for key, value in state.items()})
    with pytest.raises(
        ValueError, match=r"tiny.pth cannot be converted: .*lambda> returns '.*': ndarray; wanted names"
    ):
        create_model("tiny", weights=tmp_path / "tiny.pth")
