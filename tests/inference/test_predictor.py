import copy
import io
import logging
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import Predictor, Preprocessing, SyntheticDataset, evaluate, predict, save_model
from dichoseg.inference import predictor
from dichoseg.inference.predictor import to_uint8


def test_value_predict_is_the_recipe_by_hand(small_isnet):
    image = torch.rand(3, 65, 97)
    small_isnet.preprocessing = Preprocessing(size=64, antialias=False, to_uint8=True)
    small_isnet.train()
    result = predict(image, small_isnet)
    assert small_isnet.training, "the caller's model stays as it is"
    net_input = (
        torch.nn.functional.interpolate((image[None] * 255).round(), (64, 64), mode="bilinear").floor() / 255 - 0.5
    )
    with torch.no_grad():
        probability = small_isnet.eval()(net_input).logits.sigmoid()
    expected = torch.nn.functional.interpolate(probability, (65, 97), mode="bilinear")[0, 0]
    np.testing.assert_allclose(result, expected.numpy(), atol=1e-6)
    assert result.dtype == np.float32


def test_value_predict_loads_the_default_model(small_isnet, monkeypatch):
    image, loaded = torch.rand(3, 65, 97), []
    monkeypatch.setattr(predictor, "load_model", lambda record: loaded.append(record.name) or small_isnet)
    assert np.array_equal(predict(image), predict(image, small_isnet))
    assert loaded == ["isnet-general-use"]


def test_value_predict_takes_the_former_order(small_isnet):
    image = torch.rand(3, 65, 97)
    with pytest.warns(DeprecationWarning, match=r"predict\(photograph, model\) since 0.2, and goes in 0.4"):
        former = predict(small_isnet, image)
    assert np.array_equal(former, predict(image, small_isnet))


def test_value_predict_takes_what_load_model_takes(small_isnet, tmp_path):
    image = torch.rand(3, 65, 97)
    save_model(small_isnet, tmp_path / "m")
    assert np.array_equal(predict(image, tmp_path / "m"), predict(image, small_isnet))


@pytest.mark.parametrize("photograph", [{"a": 1}, 5, None])
def test_error_no_photograph(small_isnet, photograph):
    with pytest.raises(TypeError, match="must be a path, file, bytes, Pillow image, array or tensor, or several"):
        Predictor(small_isnet)(photograph)
    with pytest.raises(TypeError, match="predict takes one photograph"):
        predict(photograph, small_isnet)


def test_error_predict_of_several(small_isnet):
    with pytest.raises(TypeError, match="predict takes one photograph, .* got list: use a Predictor"):
        predict([torch.rand(3, 65, 97)], small_isnet)


def test_error_predict_of_a_model(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "run")
    Image.new("RGB", (97, 65)).save(tmp_path / "photo.jpg")
    for first in (tmp_path / "run", str(tmp_path / "run"), "u2netp", "somebody/model"):
        with pytest.raises(ValueError, match=f"takes the photograph first, then the model; got {first} first"):
            predict(first, tmp_path / "photo.jpg")
    with pytest.raises(ValueError, match="got u2netp first"):
        predict("u2netp", Image.new("RGB", (97, 65)))
    with pytest.raises(FileNotFoundError, match="no image at nowhere/photo"):
        predict("nowhere/photo", small_isnet)


def test_error_file_in_text_mode(small_isnet):
    with pytest.raises(TypeError, match="must be open in binary mode; .* gives str"):
        predict(io.StringIO("a.png"), small_isnet)


def test_value_a_predictor_can_be_sent_and_copied(small_isnet):
    image = torch.rand(3, 65, 97)
    first = Predictor(small_isnet, size=96, flips=True, normalize="minmax", precision="float32")
    for again in (pickle.loads(pickle.dumps(first)), copy.deepcopy(first), copy.copy(first)):
        assert np.array_equal(again(image), first(image))


def test_value_every_kind_of_input(small_isnet, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (65, 97, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    predictor = Predictor(small_isnet)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    path = tmp_path / "a.png"
    alpha = np.dstack([pixels, np.full((65, 97), 7, np.uint8)])
    content = path.read_bytes()
    photographs = [
        path,
        str(path),
        content,
        bytearray(content),
        memoryview(content),
        io.BytesIO(content),
        Image.fromarray(pixels),
        pixels,
        alpha,
        tensor,
    ]
    results = [predictor(photograph) for photograph in photographs]
    assert all(np.array_equal(results[0], other) for other in results[1:])
    photographs[5].seek(0)
    with path.open("rb") as file:
        assert np.array_equal(predictor(file), results[0])
    several = predictor(iter(photographs))
    assert iter(several) is several, "one at a time"
    assert all(np.array_equal(results[0], other) for other in several)
    gray = predictor(pixels[:, :, 0])
    assert np.array_equal(gray, predictor(pixels[:, :, :1]))
    assert np.array_equal(gray, predictor(np.repeat(pixels[:, :, :1], 3, axis=2)))


def test_value_pillow_image_is_turned_as_its_exif_says(small_isnet):
    pixels = np.random.default_rng(0).integers(0, 255, (65, 97, 3), np.uint8)
    turned = Image.fromarray(pixels)
    turned.getexif()[0x0112] = 6
    assert np.array_equal(predict(turned, small_isnet), predict(np.rot90(pixels, -1).copy(), small_isnet))


def test_value_minmax_and_flips(small_isnet):
    image = torch.rand(3, 65, 97)
    plain = predict(image, small_isnet)
    stretched = Predictor(small_isnet, precision="float32", normalize="minmax")(image)
    np.testing.assert_allclose(stretched, (plain - plain.min()) / (plain.max() - plain.min()), atol=1e-4)
    assert (stretched.min(), stretched.max()) == (0, 1)
    mirrored = predict(image.flip(2), small_isnet)[:, ::-1]
    both = Predictor(small_isnet, precision="float32", flips=True)(image)
    np.testing.assert_allclose(both, (plain + mirrored) / 2, atol=1e-5)
    for parameter in small_isnet.parameters():
        parameter.data.zero_()
    constant = Predictor(small_isnet, normalize="minmax")(image)
    assert (constant == 0).all()


def test_value_several_threads_give_equal_maps(small_isnet):
    predictor = Predictor(small_isnet)
    images = [torch.rand(3, 65, 97) for _ in range(8)]
    expected = [predictor(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(expected, pool.map(predictor, images), strict=True):
            assert np.array_equal(one, other)


def test_value_threads_take_turns_at_the_network(small_isnet):
    """Some networks of timm keep state between their layers, so no two calls may overlap."""
    predictor = Predictor(small_isnet)
    network, inside, most = predictor._logits, [], []

    def watched(net_input):
        inside.append(1)
        most.append(len(inside))
        result = network(net_input)
        inside.pop()
        return result

    predictor._logits = watched
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(predictor, [torch.rand(3, 65, 97) for _ in range(8)]))
    assert len(most) == 8
    assert max(most) == 1


def test_value_compiled_is_the_same(small_isnet, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    image = torch.rand(3, 65, 97)
    assert np.array_equal(Predictor(small_isnet, compile=True)(image), Predictor(small_isnet)(image))
    assert len(compiled) == 1


def test_value_device(small_isnet):
    assert Predictor(small_isnet, device="meta").device.type == "meta"
    assert Predictor(small_isnet).device.type == "cpu"


def test_value_probabilities_stay_in_range(small_isnet):
    """Bicubic resizing may overshoot; what comes out does not."""
    small_isnet.preprocessing = Preprocessing(size=64, interpolation="bicubic")
    result = predict((torch.rand(3, 65, 97) > 0.5).float(), small_isnet)
    assert 0 <= result.min() <= result.max() <= 1


def test_error_map_that_is_not_finite(small_isnet):
    for parameter in small_isnet.parameters():
        parameter.data.fill_(torch.nan)
    for normalize in (None, "minmax"):
        with pytest.raises(ValueError, match="the map is not finite"):
            Predictor(small_isnet, normalize=normalize)(torch.rand(3, 65, 97))


def test_error_out_of_memory_on_the_cpu(small_isnet):
    predictor = Predictor(small_isnet)

    def allocate(net_input):
        return torch.empty(2**55, dtype=torch.uint8)

    predictor._logits = allocate
    with pytest.raises(MemoryError, match="not enough memory: can't allocate memory"):
        predictor(torch.rand(3, 65, 97))


def test_error_pillow_image_that_is_broken(small_isnet):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (65, 97, 3), np.uint8)).save(buffer, "PNG")
    cut_off = Image.open(io.BytesIO(buffer.getvalue()[:4000]))
    for image in (cut_off, Image.new("RGB", (0, 5))):
        with pytest.raises(ValueError, match="the Pillow image cannot be read"):
            predict(image, small_isnet)


@pytest.mark.parametrize("policy", ["letterbox", "longest_side", "stretch"])
def test_shape_resize_policies(small_isnet, policy):
    small_isnet.preprocessing = Preprocessing(size=64, resize_policy=policy)
    assert predict(torch.rand(3, 40, 97), small_isnet).shape == (40, 97)


def test_value_gt_encoder_predicts_from_masks(small_isnet):
    from dichoseg import GTEncoder

    gt_encoder = GTEncoder.like(small_isnet)
    assert predict(torch.rand(1, 65, 97), gt_encoder).shape == (65, 97)
    assert "max_f" in evaluate(gt_encoder, SyntheticDataset(2, size=64))


@pytest.mark.parametrize(
    ("photograph", "error", "match"),
    [
        ("nothing.jpg", FileNotFoundError, "nothing.jpg"),
        (b"hello", ValueError, "5 bytes"),
        (torch.rand(1, 3, 4, 4), ValueError, r"\(1, 3, 4, 4\)"),
        (torch.rand(1, 4, 4), ValueError, r"\(1, 4, 4\)"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), ValueError, "uint8"),
        (torch.full((3, 65, 97), 200.0), ValueError, "200"),
        (torch.full((3, 65, 97), -3.0), ValueError, "-3"),
        (torch.full((3, 65, 97), torch.nan), ValueError, "nan"),
        (np.zeros((4, 4, 2), np.uint8), ValueError, r"\(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r"\(0, 4, 3\)"),
        (np.zeros((4, 4), np.float32), ValueError, "float32"),
        (np.zeros(4, np.uint8), ValueError, r"\(4,\)"),
        (0.5, TypeError, "float"),
    ],
)
def test_error_photographs(small_isnet, photograph, error, match):
    with pytest.raises(error, match=match):
        predict(photograph, small_isnet)


def test_error_in_an_iterable(small_isnet):
    with pytest.raises(TypeError, match="float"):
        next(Predictor(small_isnet)([0.5]))


@pytest.mark.parametrize("options", [{"precision": "half"}, {"normalize": "max"}])
def test_error_options(small_isnet, options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        Predictor(small_isnet, **options)


def test_error_not_a_model():
    with pytest.raises(TypeError, match="Identity"):
        Predictor(torch.nn.Identity())


def test_value_to_uint8_rounds():
    assert to_uint8(np.array([0.0, 0.499 / 255, 0.501 / 255, 1.0], np.float32)).tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize(("size", "warns"), [(31, True), (32, False), (128, False), ((64, 129), True), (None, False)])
def test_value_a_size_far_from_the_models_own_is_logged(small_isnet, caplog, size, warns):
    with caplog.at_level(logging.WARNING):
        predictor = Predictor(small_isnet, size=size)
        predictor(torch.zeros(3, 40, 50))
    assert (f"size {size} is far from 64, which the model was trained for" in caplog.text) == warns
    assert len(caplog.records) == warns
