import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dichoseg import Predictor, load_model
from dichoseg.inference.predictor import to_uint8

from .conftest import FORM, TOKEN, encoded, form

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def mask(models, pixels):
    """The mask by the first model."""
    return to_uint8(Predictor(load_model(models / "first"), precision="float32")(pixels))


def test_value_mask_by_form_and_by_body(server, photograph, mask):
    for answer in (
        server.ask("/predict", form(photograph), **FORM),
        server.ask("/predict?model=first", photograph, Content_Type="image/png"),
        server.ask("/predict", photograph),
    ):
        assert answer.headers["content-type"] == "image/png"
        assert np.array_equal(np.asarray(answer.image), mask)


def test_value_kinds(server, photograph, pixels, mask):
    cutout = server.ask("/predict?kind=cutout", photograph).image
    assert np.array_equal(np.asarray(cutout)[..., 3], mask)
    white = server.ask("/predict?kind=composite&format=webp", photograph).image
    assert (white.mode, white.format, white.size) == ("RGB", "WEBP", (97, 65))
    red = np.asarray(server.ask("/predict?kind=composite&background=red", photograph).image).astype(int)
    mixed = np.array([255, 0, 0]) * (1 - mask[..., None] / 255) + pixels * (mask[..., None] / 255)
    certain = mask == mask.min()  # elsewhere the foreground's colors are estimated
    assert np.abs(red - mixed)[certain].max() < 90
    assert (red[..., 0] >= red[..., 1]).mean() > 0.9


def test_value_options(server, photograph, mask):
    answer = server.ask("/predict?threshold=0.5&format=jpeg&size=96&quality=100", photograph)
    assert answer.headers["content-type"] == "image/jpeg"
    assert not np.array_equal(np.asarray(answer.image), mask)
    level = int(np.median(mask)) / 255
    black_and_white = np.asarray(server.ask(f"/predict?threshold={level}", photograph).image)
    assert set(np.unique(black_and_white)) == {0, 255}
    assert np.array_equal(np.asarray(server.ask("/predict", photograph).image), mask), "the size was for one request"


def test_value_least_recently_used_model_is_dropped(server, photograph):
    def loaded():
        content = json.loads(server.ask("/models").body)
        assert content["default"] == "first"
        return [each["name"] for each in content["models"] if each["loaded"]]

    first = server.ask("/predict", photograph).body
    assert loaded() == ["first"]
    second = server.ask("/predict?model=second", photograph).body
    assert loaded() == ["second"]
    assert first != second
    assert server.ask("/predict", photograph).body == first
    assert server.log.read_text().count("dropped second") >= 2


def test_value_parallel_clients(server, photograph):
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: server.ask("/predict", photograph), range(16)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("model=third", 404, "no model 'third' here"),
        ("model=/etc/passwd", 404, "no model '/etc/passwd' here"),
        ("kind=picture", 400, "kind: .*; got 'picture'"),
        ("threshold=high", 400, "threshold: .*; got 'high'"),
        ("threshold=2", 400, "threshold must be a number from 0 to 1; got 2"),
        ("format=bmp", 400, "format must be one of png, .*; got 'bmp'"),
        ("kind=cutout&format=jpg", 400, "no alpha channel"),
        ("background=red", 400, "got kind=mask"),
        ("kind=composite&background=pyproject.toml", 400, "a color .*; got 'pyproject.toml'"),
        ("size=31", 400, "size must be a number from 32 to 2048; got 31"),
        ("size=2049", 400, "got 2049"),
        ("margin=3", 400, "margin=3"),
        ("colour=red", 400, "colour"),
        ("detail=blend", 400, "detail: .*; got 'blend'"),
    ],
)
def test_error_options(server, photograph, query, status, text):
    answer = server.ask(f"/predict?{query}", photograph)
    assert answer.status == status
    assert re.search(text, answer.error)


def test_error_no_such_page(server):
    assert server.ask("/docs").status == 404
    assert server.ask("/predict").status == 405


def test_value_openapi_describes_bodies_and_answers(server):
    described = json.loads(server.ask("/openapi.json").body)["paths"]["/predict"]["post"]
    assert set(described["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    assert {"200", "400", "401", "404", "408", "413", "415", "429", "503"} <= set(described["responses"])
    assert all(option["description"] for option in described["parameters"])


def test_error_token(strict_server):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic open-sesame"}):
        answer = strict_server.ask("/predict", bytes(100_000), **headers)
        assert answer.status == 401
        assert "Authorization: Bearer" in answer.error
        assert answer.headers["www-authenticate"] == "Bearer"
    assert strict_server.ask("/models").status == strict_server.ask("/metrics").status == 401
    assert strict_server.ask("/models", **AUTHORIZED).status == strict_server.ask("/health").status == 200


def test_error_work_takes_too_long(strict_server):
    large = encoded(Image.new("RGB", (1000, 1000)))  # in hundreds of views
    answer = strict_server.ask("/predict?size=64&detail=views", large, **AUTHORIZED)
    assert answer.status == 503
    assert answer.error == "the work took more than 1 s"
    assert answer.headers["retry-after"] == "1"


def test_error_too_many_requests(strict_server, photograph):
    with ThreadPoolExecutor(6) as clients:
        answers = list(
            clients.map(lambda _: strict_server.ask("/predict?size=2048", photograph, **AUTHORIZED), range(6))
        )
    refused = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} <= {200, 429, 503}
    assert refused
    assert "1 requests are waiting" in refused[0].error
    assert int(refused[0].headers["retry-after"]) >= 1


def test_value_photograph_of_one_pixel(server):
    assert server.ask("/predict", encoded(Image.new("RGB", (1, 1)))).image.size == (1, 1)
