"""Files that were made to run code, to open other files, or to exhaust memory and time."""

import json
import random
import resource
import shutil
import time
import zipfile

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from dichoseg import create_model, load_model, save_model
from dichoseg.untrusted import UnusableFileError
from dichoseg.weights.reading import read_weights

ARGS = {"channels": [8, 16], "mid_channels": [4, 8], "strides": [2, 4], "stem_channels": 8}
WEIGHT = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w.weight")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    save_model(create_model("isnet", encoder_args=ARGS, size=32), folder)
    return folder


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


@pytest.fixture(autouse=True)
def is_modest():
    """Fail where a file takes seconds of a core, or half a gigabyte."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert time.process_time() - started < 8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def change(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    for key, value in changes.items():
        config[key] = config[key] | value if isinstance(value, dict) and isinstance(config[key], dict) else value
    (folder / "config.json").write_text(json.dumps(config))


def write_graph(path, nodes, stored, metadata=None):
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph(nodes, "g", [image], [out], stored))
    if metadata is not None:
        helper.set_model_props(model, {"dichoseg": metadata})
    path.write_bytes(model.SerializeToString())
    return path


def conv(source="x", weight="w.weight", out="y", name=""):
    return helper.make_node("Conv", [source, weight], [out], name=name)


TIMM = [
    {"pretrained": True},
    {"pretrained": "yes"},
    {"pretrained_cfg": {"file": "FILE"}},
    {"pretrained_cfg_overlay": {"file": "FILE", "hf_hub_id": None, "url": ""}},
    {"pretrained_cfg_overlay": {"url": "http://127.0.0.1:9/x"}},
    {"checkpoint_path": "FILE"},
    {"cache_dir": "FILE"},
    {"pretrained_strict": 1},
    {"scriptable": True},
    {"layers": [3, 4, 6, 3]},
    {"name": "local-dir:FILE"},
    {"out_indices": [{"url": "FILE"}]},
]


@pytest.mark.parametrize("args", TIMM, ids=str)
@pytest.mark.parametrize("form", ["dict", "name", "model"])
def test_error_arguments_that_open_files(folder, args, form, monkeypatch):
    """S1 and S2."""
    import timm

    calls = []
    monkeypatch.setattr(timm, "create_model", lambda *_args, **_kwargs: calls.append(1))
    torch.save({"x": torch.zeros(1)}, folder / "extra.pth")
    args = json.loads(json.dumps(args).replace("FILE", str(folder / "extra.pth")))
    call = ", ".join(f"{key}={value!r}" for key, value in args.items())
    recipe = {
        "dict": {"name": "isnet", "encoder": "timm:resnet18", "encoder_args": args},
        "name": {"name": "isnet", "encoder": f"timm:resnet18({call})"},
        "model": {"name": f"isnet(encoder='timm:resnet18', encoder_args={args!r})"},
    }[form]
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"recipe": recipe}))
    with pytest.raises(UnusableFileError, match=str(folder)):
        load_model(folder)
    graph = write_graph(
        folder / "g.onnx", [conv(out="out")], [WEIGHT], metadata=json.dumps(config | {"recipe": recipe})
    )
    with pytest.raises(UnusableFileError, match="g.onnx"):
        load_model(graph)
    assert not calls


@pytest.mark.parametrize(
    "encoder",
    [
        "timm:local-dir:/tmp",
        "timm:local_dir:/tmp",
        "timm:hf-hub:any/repo",
        "timm:hf_hub:any/repo",
        "timm:https://host/x",
        "timm:../resnet18",
        "timm('hf-hub:any/repo')",
        "timm(name='local-dir:/tmp')",
        "timm",
        "timm:no_such",
    ],
)
def test_error_names_that_open_files(folder, encoder):
    change(folder, recipe={"encoder": encoder, "encoder_args": None, "decoder": "fpn"})
    with pytest.raises(UnusableFileError, match=str(folder)):
        load_model(folder)


@pytest.mark.parametrize("where", ["decoder", "heads"])
def test_error_names_that_open_files_elsewhere(folder, where):
    change(folder, recipe={where: "timm:hf-hub:any/repo"})
    with pytest.raises(UnusableFileError, match=r"hf-hub.* would open another file"):
        load_model(folder)


def test_value_a_timm_encoder_is_loaded_without_its_published_weights(tmp_path):
    model = create_model("isnet", encoder="timm:test_resnet(out_indices=(0, 1, 2))", decoder="fpn(channels=8)")
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_value_buffers_that_are_not_saved_are_filled(tmp_path):
    name = "timm:swin_tiny_patch4_window7_224(strict_img_size=False)"
    model = create_model("isnet", encoder=name, decoder="fpn(channels=8)")
    save_model(model, tmp_path)
    held = dict(load_model(tmp_path).named_buffers())
    unsaved = set(held) - set(model.state_dict())
    assert unsaved
    for key, value in model.named_buffers():
        assert torch.equal(held[key], value), key


@pytest.mark.parametrize("keys", [["state_dict"], ["model", "net"]])
def test_error_dicts_in_a_circle(tmp_path, keys):
    """S4."""
    dicts = [{} for _ in keys]
    for index, key in enumerate(keys):
        dicts[index][key] = dicts[(index + 1) % len(keys)]
    torch.save(dicts[0], tmp_path / "a.pth")
    with pytest.raises(UnusableFileError, match="a.pth must hold a dict of tensors only"):
        load_model(tmp_path / "a.pth")


def test_error_a_circle_through_lists(tmp_path):
    content = {"model": []}
    content["model"].append(content)
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UnusableFileError, match="a.pth must hold a dict of tensors only"):
        load_model(tmp_path / "a.pth")


@pytest.mark.parametrize("kind", ["Identity", "Add", "Cast", "Mul"])
def test_error_nodes_in_a_circle(tmp_path, kind):
    """S5."""
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    more = ["one"] if kind in ("Add", "Mul") else []
    nodes = [conv(), helper.make_node(kind, ["y", *more], ["z"]), helper.make_node(kind, ["z", *more], ["y"])]
    path = write_graph(tmp_path / "c.onnx", nodes, [WEIGHT, one])
    with pytest.raises(UnusableFileError, match="c.onnx cannot be read: two of its nodes compute the same output"):
        load_model(path)
    nodes = [conv(weight="a"), helper.make_node(kind, ["a", *more], ["b"]), helper.make_node(kind, ["b", *more], ["a"])]
    with pytest.raises(UnusableFileError, match=r"c.onnx holds no convolution"):
        load_model(write_graph(path, nodes, [WEIGHT, one]))


def test_error_a_weight_that_is_computed_from_itself_again_and_again(tmp_path):
    nodes = [helper.make_node("DequantizeLinear", [f"d{i}"] * 3, [f"d{i + 1}"]) for i in range(60)]
    path = write_graph(
        tmp_path / "d.onnx",
        [*nodes, conv(weight="d60", out="out")],
        [numpy_helper.from_array(np.ones((), np.float32), "d0")],
    )
    with pytest.raises(UnusableFileError, match="d.onnx"):
        load_model(path)


def test_value_a_chain_of_factors_is_folded_at_once(tmp_path):
    weight = numpy_helper.from_array(np.ones((500, 100, 3, 3), np.float32), "w.weight")
    two = numpy_helper.from_array(np.full(500, 1.001, np.float32).reshape(500, 1, 1), "two")
    nodes = [conv(out="y0"), *(helper.make_node("Mul", [f"y{i}", "two"], [f"y{i + 1}"]) for i in range(3000))]
    stored = read_weights(write_graph(tmp_path / "m.onnx", nodes, [weight, two]))
    assert stored.state["w.weight"][0, 0, 0, 0] == pytest.approx(1.001**3000, rel=1e-2)


@pytest.mark.parametrize("elements", [(50_000, 100_000), (200_000, 100_000)])
def test_error_expanded_tensors(tmp_path, elements):
    """S6."""
    torch.save({"x": torch.zeros(1, dtype=torch.half).expand(*elements)}, tmp_path / "b.pth")
    with pytest.raises(UnusableFileError, match=r"b.pth .*claims [\d,]+ elements"):
        load_model(tmp_path / "b.pth")


def test_error_many_views_of_one_storage(tmp_path):
    values = torch.zeros(1_000_000)
    torch.save({f"x{index}": values[index:] for index in range(5_000)}, tmp_path / "v.pth")
    with pytest.raises(UnusableFileError, match=r"v.pth .*claims"):
        load_model(tmp_path / "v.pth")


def test_error_a_storage_that_unpacks_to_gigabytes(tmp_path):
    torch.save({"x": torch.zeros(1000)}, tmp_path / "s.pth")
    with zipfile.ZipFile(tmp_path / "s.pth") as old, zipfile.ZipFile(tmp_path / "z.pth", "w") as new:
        for entry in old.infolist():
            content = bytes(200_000_000) if entry.filename.endswith("data/0") else old.read(entry)
            new.writestr(entry.filename, content, zipfile.ZIP_DEFLATED)
    with pytest.raises(UnusableFileError, match="z.pth is not a complete checkpoint"):
        load_model(tmp_path / "z.pth")


@pytest.mark.parametrize(
    "args",
    [
        {"mid_channels": [8000, 8000]},
        {"channels": [8, 20000]},
        {"channels": [10**9, 10**9]},
        {"channels": [8] * 100_000, "mid_channels": [4] * 100_000, "strides": [2] * 100_000},
        {"stem_channels": 10**30},
        {"strides": [60_000, 60_000]},
        {"in_channels": 60_000},
    ],
    ids=lambda args: str(args)[:40],
)
def test_error_networks_that_are_larger_than_the_file(folder, args):
    """S7."""
    change(folder, recipe={"encoder_args": ARGS | args})
    with pytest.raises(UnusableFileError, match=str(folder)):
        load_model(folder)
    config = (folder / "config.json").read_text()
    path = write_graph(folder / "g.onnx", [conv(out="out")], [WEIGHT], metadata=config)
    with pytest.raises(UnusableFileError, match="g.onnx"):
        load_model(path)


def test_error_channels_in_names(folder):
    change(folder, recipe={"decoder": "fpn(channels=60000)"})
    with pytest.raises(UnusableFileError, match=str(folder)):
        load_model(folder)
    change(folder, recipe={"decoder": "fpn(channels=10**9)"})
    with pytest.raises(UnusableFileError, match="plain Python values"):
        load_model(folder)


def test_error_graph_weight_without_elements(tmp_path):
    """S8, and the two below."""
    empty = helper.make_tensor("w.weight", TensorProto.FLOAT, (10**9, 0, 3, 3), [])
    with pytest.raises(UnusableFileError, match="has no elements"):
        load_model(write_graph(tmp_path / "e.onnx", [conv(out="out")], [empty]))


def test_error_graph_of_many_layers_on_one_weight(tmp_path):
    weight = numpy_helper.from_array(np.ones((1000, 1000, 1, 1), np.float32), "w.weight")
    nodes = [conv(out=f"y{index}", name=f"/l{index}/Conv") for index in range(9_000)]
    with pytest.raises(UnusableFileError, match="claims"):
        load_model(write_graph(tmp_path / "n.onnx", nodes, [weight]))


def test_error_graph_whose_scales_are_too_many(tmp_path):
    stored = [
        numpy_helper.from_array(np.ones((20_000, 1), np.int8), "q"),
        numpy_helper.from_array(np.ones(200_000, np.float32), "s"),
    ]
    nodes = [helper.make_node("DequantizeLinear", ["q", "s"], ["w"]), conv(weight="w", out="out")]
    with pytest.raises(UnusableFileError, match="has scales of another shape"):
        load_model(write_graph(tmp_path / "q.onnx", nodes, stored))


def test_error_graph_whose_bias_has_another_shape(tmp_path):
    bias = numpy_helper.from_array(np.ones((100_000, 1), np.float32), "b")
    node = helper.make_node("Conv", ["x", "w.weight", "b"], ["out"])
    with pytest.raises(UnusableFileError, match="b.onnx cannot be read"):
        load_model(write_graph(tmp_path / "b.onnx", [node], [WEIGHT, bias]))


def external(name, dims, location, **entries):
    tensor = TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "link.bin", "deep/w.bin", "", "."])
def test_error_external_data_outside_of_the_folder(tmp_path, location):
    inner = tmp_path / "in"
    inner.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(432))
    (inner / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = write_graph(inner / "x.onnx", [conv(out="out")], [external("w.weight", (4, 3, 3, 3), location)])
    with pytest.raises(UnusableFileError, match="x.onnx"):
        load_model(path)


def test_value_external_data_are_read_as_far_as_needed(tmp_path):
    values = np.arange(108, dtype=np.float32)
    with (tmp_path / "w.bin").open("wb") as file:
        file.write(bytes(16) + values.tobytes())
        file.truncate(4_000_000_000)  # sparse: takes no space
    stored = read_weights(
        write_graph(tmp_path / "x.onnx", [conv(out="out")], [external("w.weight", (4, 3, 3, 3), "w.bin", offset=16)])
    )
    assert stored.state["w.weight"].flatten().tolist() == values.tolist()


@pytest.mark.parametrize("name", ["layer{}.weight", "{}.a.b.c.d.e.weight", "module.net.stage1.x{}.weight"])
def test_error_thousands_of_unknown_keys(tmp_path, name):
    """S9."""
    torch.save({name.format(index): torch.zeros(1) for index in range(5_000)}, tmp_path / "k.pth")
    with pytest.raises(UnusableFileError, match="k.pth .*holds none of the published networks"):
        load_model(tmp_path / "k.pth")
    save_file({name.format(index): torch.zeros(1) for index in range(5_000)}, tmp_path / "k.safetensors")
    with pytest.raises(UnusableFileError, match="k.safetensors"):
        load_model(tmp_path / "k.safetensors")


@pytest.mark.parametrize(
    "state", [{"a." * 100_000: 1}, {f"{index}": 1 for index in range(11_000)}], ids=["long", "many"]
)
def test_error_names_beyond_the_limits(tmp_path, state):
    torch.save({key: torch.zeros(1) for key in state}, tmp_path / "k.pth")
    with pytest.raises(UnusableFileError, match=r"k.pth .*too many"):
        load_model(tmp_path / "k.pth")


@pytest.mark.parametrize("size", [30_000, 10**9, [32, 30_000], -1, 0, True, "32", 1e400, [1, 2, 3], {}])
def test_error_sizes(folder, size):
    """S10."""
    change(folder, preprocessing={"size": size})
    with pytest.raises(UnusableFileError, match=f"{folder}/config.json"):
        load_model(folder)


def test_value_limits_can_be_raised(folder, monkeypatch):
    change(folder, preprocessing={"size": 5000})
    with pytest.raises(UnusableFileError, match="DICHOSEG_LIMIT_FACTOR"):
        load_model(folder)
    monkeypatch.setenv("DICHOSEG_LIMIT_FACTOR", "2")
    assert load_model(folder).preprocessing.size == 5000


@pytest.mark.parametrize(
    "recipe",
    [
        {"encoder": 5},
        {"encoder": ["rsu"]},
        {"encoder_args": [1, 2]},
        {"encoder_args": "channels"},
        {"encoder_args": {"channels": "8"}},
        {"encoder_args": {"channels": 8}},
        {"encoder_args": {"channels": [[8], [8]], "mid_channels": [4, 8], "strides": [2, 4]}},
        {"encoder_args": ARGS | {"channels": [8, "16"]}},
        {"encoder_args": ARGS | {"channels": [8, -16]}},
        {"encoder_args": ARGS | {"mid_channels": [0, 0]}},
        {"encoder_args": ARGS | {"stem_channels": None}},
        {"encoder_args": ARGS | {"strides": [0, 0]}},
        {"encoder": "timm:test_resnet", "encoder_args": {"features_only": False}},
        {"heads": 5},
        {"name": "isnet", "more": 1},
        {"name": "no_such"},
        {"name": "os/system"},
        {"name": "f(" * 200 + ")" * 200},
        {"name": "isnet(encoder=" + "-" * 900 + "1)"},
        {"decoder_args": {"a": [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}},
        {"decoder_args": {f"a{index}": 1 for index in range(2000)}},
        {"decoder_args": {"a": "x" * 2000}},
        {"": 1},
        None,
        [],
        "isnet",
        5,
    ],
    ids=lambda recipe: str(recipe)[:50],
)
def test_error_recipes(folder, recipe):
    """S13, and the two below."""
    change(folder, recipe=recipe)
    with pytest.raises(UnusableFileError, match=str(folder)):
        load_model(folder)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"library":' * 50_000,
        "1" * 5000,
        "NaN",
        "{}" * 2,
        " " * 2_000_000,
        "\ud800".encode("utf-8", "surrogatepass").decode("latin1"),
        "",
    ],
    ids=lambda text: text[:12],
)
def test_error_configurations(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(UnusableFileError, match=f"{folder}/config.json"):
        load_model(folder)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"library": "dichoseg"', '"library": "timm", "library": "dichoseg"'),
        ('"size": 32', '"size": Infinity'),
        ('"size": 32', '"size": ' + "9" * 5000),
        ('"format_version": 2', '"format_version": [2]'),
        ('"antialias": false', '"antialias": "no"'),
        ('"mean": [', '"mean": ["a",'),
        ('"mean": [', '"mean": [1e999,'),
    ],
)
def test_error_values_of_configurations(folder, before, after):
    text = (folder / "config.json").read_text()
    assert before in text
    (folder / "config.json").write_text(text.replace(before, after))
    with pytest.raises(UnusableFileError, match=f"{folder}/config.json"):
        load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_error_links_that_lead_out_of_the_folder(folder, tmp_path, name):
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnusableFileError, match="is a link to a file outside of its folder"):
        load_model(folder)


@pytest.mark.filterwarnings("ignore")  # of torch, about sparse, quantized and nested tensors
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), torch.ones(1), (10**9, 10**9)),
        lambda: torch.eye(3).to_sparse_csr(),
        lambda: torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.qint8),
        lambda: torch.empty(10**9, device="meta"),
        lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        lambda: torch.zeros(2, dtype=torch.complex64),
        lambda: torch.zeros(10**12, 0),
        lambda: torch.zeros(3).to(torch.float8_e4m3fn),
    ],
    ids=["sparse", "csr", "quantized", "meta", "nested", "complex", "empty", "float8"],
)
def test_error_odd_tensors(tmp_path, make):
    torch.save({"conv_in.weight": make()}, tmp_path / "o.pth")
    with pytest.raises(UnusableFileError, match="o.pth"):
        load_model(tmp_path / "o.pth")


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}',
        b"[" * 10_000,
        b"",
    ],
    ids=["huge", "overlapping", "dtype", "deep", "empty"],
)
def test_error_safetensors(folder, header):
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(UnusableFileError, match=r"model.safetensors"):
        load_model(folder)
    (folder / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + header)
    with pytest.raises(UnusableFileError, match=r"model.safetensors"):
        load_model(folder)


def changed(content, draw):
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 4))):
        at = draw.randrange(min(len(data), draw.choice((64, 2000, len(data)))))
        how = draw.randrange(3)
        if how == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif how == 1:
            del data[at : at + draw.choice((1, 4, 100))]
        else:
            data[at : at + 4] = draw.choice((b"\xff\xff\xff\x7f", b"\0\0\0\0", b"[[[[", b"9999", b"-1,1"))
        data = data or bytearray(1)
    return bytes(data)


@pytest.mark.filterwarnings("ignore")  # of torch, about damaged pickles
@pytest.mark.parametrize("kind", ["model.safetensors", "config.json", "w.pth", "legacy.pth", "w.onnx"])
def test_error_of_changed_files_is_the_documented_one(folder, kind):
    """Changes of one fixed seed; `benchmarks/fuzz.py` makes many more."""
    model = load_model(folder)
    torch.save(model.state_dict(), folder / "w.pth")
    torch.save(model.state_dict(), folder / "legacy.pth", _use_new_zipfile_serialization=False)
    config = (folder / "config.json").read_text()
    write_graph(folder / "w.onnx", [conv(out="out", name="/conv_in/Conv")], [WEIGHT], metadata=config)
    content, draw, refused = (folder / kind).read_bytes(), random.Random(kind), 0
    read, count = (load_model, 12) if kind in ("model.safetensors", "config.json") else (read_weights, 60)
    for _ in range(count):
        (folder / kind).write_bytes(changed(content, draw))
        try:
            read(folder if read is load_model else folder / kind)
        except Exception as error:
            refused += isinstance(error, UnusableFileError) and str(folder) in str(error)
        else:
            count -= 1
    assert refused == count > 2
