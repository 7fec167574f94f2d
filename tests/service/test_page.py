import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from dichoseg.service.page import EXAMPLES, HEADERS, draw_example

from ..browser import Tab
from .conftest import TOKEN


@pytest.fixture
def open_page(browser, server):
    tabs = []

    def opened(**options):
        tabs.append(Tab(browser, f"http://127.0.0.1:{server.port}/", **options))
        return tabs[-1]

    yield opened
    for tab in tabs:
        tab.close()


def status_is(page, text):
    from playwright.sync_api import expect

    expect(page.locator("#status")).to_have_text(re.compile(text), timeout=60_000)


def upload(page, content, name="my photo.png"):
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})


def downloaded(page, number=0):
    with page.expect_download() as download:
        page.locator(".download").nth(number).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def pixels_of(content):
    return np.asarray(Image.open(io.BytesIO(content))).astype(int)


def test_value_upload_compare_and_download(open_page, server, photograph):
    page = open_page(viewport={"width": 1280, "height": 800}).page
    upload(page, photograph)
    status_is(page, "^Done")
    cutout = server.ask("/predict?kind=cutout&model=first", photograph).body
    assert downloaded(page) == ("my photo_cutout_first.png", cutout)

    page.select_option("#other", "second")
    status_is(page, "^Done")
    assert page.locator(".caption").all_inner_texts()[1].startswith("second: 97 × 65 pixels, ")
    assert downloaded(page, 1) == (
        "my photo_cutout_second.png",
        server.ask("/predict?kind=cutout&model=second", photograph).body,
    )

    alpha = pixels_of(cutout)[..., 3]
    page.check("input[value=mask]")
    name, mask = downloaded(page)
    assert name == "my photo_mask_first.png"
    assert np.array_equal(pixels_of(mask)[..., :3], np.dstack([alpha] * 3))
    page.check("input[value=uncertainty]")
    assert np.array_equal(pixels_of(downloaded(page)[1])[..., 0], 255 - np.abs(255 - 2 * alpha))
    page.check("input[value=cutout]")
    page.locator("#color").fill("#ff0000")
    mixed = alpha[..., None] / 255 * pixels_of(cutout)[..., :3] + (1 - alpha[..., None] / 255) * np.array([255, 0, 0])
    assert np.abs(pixels_of(downloaded(page)[1])[..., :3] - mixed).max() <= 2

    page.check("input[value=sides]")
    page.locator(".sheet img").nth(1).wait_for()
    assert downloaded(page, 1) == (
        "my photo_sides_second.png",
        server.ask("/side_outputs?model=second", photograph).body,
    )


def test_value_options_paste_and_keyboard_on_a_phone(open_page, photograph):
    tab = open_page(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    page = tab.page
    page.locator("#examples button").nth(1).focus()
    page.keyboard.press("Enter")
    status_is(page, "^Done")
    assert page.locator(".caption").inner_text().startswith("first: 640 × 640 pixels, ")
    assert not tab.is_too_wide
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background))) < 60
    page.locator(".split").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator(".split").input_value() == "53"
    assert page.locator(".picture").evaluate("element => element.style.getPropertyValue('--split')") == "53%"

    with page.expect_request(lambda request: "size=256" in request.url):
        page.fill("#size", "256")
        page.keyboard.press("Tab")
    status_is(page, "^Done")
    with page.expect_request(lambda request: "/predict" in request.url) as request:
        page.select_option("#detail", "borders")
    assert "detail=borders" in request.value.url
    status_is(page, "^Done")
    page.fill("#size", "")
    page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
        }""",
        list(photograph),
    )
    page.get_by_text("first: 97 × 65 pixels").wait_for()


def test_error_is_shown(open_page, photograph):
    page = open_page().page
    upload(page, b"no image")
    status_is(page, "not an image|cannot be read|cannot identify")
    upload(page, photograph)
    status_is(page, "^Done")


def test_value_waits_for_weights_and_for_a_place(browser, server, photograph):
    tab = Tab(browser, "about:blank")
    page, tab.address = tab.page, f"http://127.0.0.1:{server.port}/"
    models = json.loads(server.ask("/models").body)
    answers = iter([{**models, "loading": "downloading first, 2 of 5 MB"}, models])
    page.route("**/models", lambda route: route.fulfill(json=next(answers)))
    full = iter([True])

    def predict(route):
        if next(full, False):
            route.fulfill(status=429, headers={"Retry-After": "1"}, json={"error": "16 requests are waiting"})
        else:
            route.continue_()

    page.route("**/predict*", predict)
    page.goto(tab.address)
    status_is(page, "^The server is downloading first, 2 of 5 MB")
    status_is(page, "^$")
    upload(page, photograph)
    status_is(page, "16 requests are waiting")
    status_is(page, "^Done")
    tab.close()


def test_value_asks_for_the_token(browser, strict_server):
    tab = Tab(browser, f"http://127.0.0.1:{strict_server.port}/")
    status_is(tab.page, "wanted the header")
    tab.page.fill("#token", TOKEN)
    tab.page.keyboard.press("Enter")
    status_is(tab.page, "^$")
    assert tab.page.locator("#model option").all_inner_texts() == ["first"]
    assert not tab.page.locator("#access").is_visible()
    tab.close()


def test_value_headers_keep_the_browser_here(server):
    answer = server.ask("/")
    assert {name: answer.headers[name.lower()] for name in HEADERS} == HEADERS
    assert "https://" not in answer.body.decode()
    for name in ("page.js", "view.js", "style.css"):
        assert b"https://" not in server.ask(f"/static/{name}").body
    assert server.ask("/static/../page.py").status == 404


def test_value_examples(server):
    for name in EXAMPLES:
        assert Image.open(io.BytesIO(draw_example(name))).size == (640, 640)
    assert server.ask("/examples/ship.jpg").body == draw_example("ship")
    answer = server.ask("/examples/cat.jpg")
    assert (answer.status, answer.error) == (404, f"no example 'cat'; there are {', '.join(EXAMPLES)}")
