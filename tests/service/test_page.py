import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from dichoseg.service.page import EXAMPLES, HEADERS, draw_example

from ..browser import Tab
from .conftest import TOKEN, encoded


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

    expect(page.locator("#status")).to_have_text(re.compile(text), timeout=180_000)  # the first cut-out waits for numba


def upload(page, content, name="my photo.png"):
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})


def held(page, pattern):
    """Hold the requests for some addresses; give the list of them."""
    requests = []
    page.route(pattern, lambda route: requests.append(route))
    return requests


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


def test_value_options_on_a_phone(open_page, photograph):
    tab = open_page(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    page = tab.page
    page.locator("#examples button").nth(1).focus()
    page.keyboard.press("Enter")
    status_is(page, "^Done")
    assert page.locator(".caption").inner_text().startswith("first: 640 × 640 pixels, ")
    assert not tab.is_too_wide
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background))) < 60

    with page.expect_request(lambda request: "size=256" in request.url):
        page.fill("#size", "256")
        page.keyboard.press("Tab")
    status_is(page, "^Done")
    with page.expect_request(lambda request: "/predict" in request.url) as request:
        page.select_option("#detail", "borders")
    assert "detail=borders" in request.value.url
    status_is(page, "^Done")


def test_value_drop_and_paste(open_page, photograph, tmp_path):
    tab = open_page(permissions=["clipboard-read", "clipboard-write"])
    page, path = tab.page, tmp_path / "dropped.png"
    path.write_bytes(photograph)
    box = page.locator("#drop").bounding_box()
    drag = {
        "x": box["x"] + 200,
        "y": box["y"] + 20,
        "data": {"items": [], "files": [str(path)], "dragOperationsMask": 1},
    }
    devtools = tab.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **drag})
    page.locator("#drop.over").wait_for()
    devtools.send("Input.dispatchDragEvent", {"type": "drop", **drag})
    status_is(page, "^Done")
    assert not page.locator("#drop.over").count()
    assert downloaded(page)[0] == "dropped_cutout_first.png"

    page.evaluate(
        """async bytes => {
            const image = new Blob([new Uint8Array(bytes)], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": image })]);
        }""",
        list(photograph),
    )
    page.select_option("#model", "second")
    status_is(page, "^Done")
    with page.expect_request("**/predict*"):
        page.keyboard.press("Control+V")
    status_is(page, "^Done")
    assert downloaded(page)[0] == "image_cutout_second.png"


def test_value_by_keyboard(open_page, photograph):
    page = open_page().page
    status_is(page, "^$")
    order = ["#file", *["#examples button"] * 4, "#model", "#other", "#size", "#detail"]
    order += ["input[value=cutout]", "input[value=checkerboard]", "#color"]
    for selector in order:
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        assert focus.evaluate("(element, selector) => element.matches(selector)", selector), selector
        assert focus.evaluate("element => getComputedStyle(element).outlineStyle") == "solid", selector
    page.locator("#file").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files({"name": "photo.png", "mimeType": "image/png", "buffer": photograph})
    status_is(page, "^Done")
    page.locator("#color").focus()
    page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator(".picture").evaluate("element => element.style.getPropertyValue('--split')") == "53%"
    assert page.locator(".picture").evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    page.keyboard.press("Tab")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "photo_cutout_first.png"


def test_value_asks_once_for_each_result(open_page, photograph):
    tab = open_page()
    page = tab.page
    upload(page, photograph)
    status_is(page, "^Done")
    page.fill("#size", "64")
    page.keyboard.press("Enter")
    status_is(page, "^Done")
    page.fill("#size", "")
    page.fill("#size", "64")
    page.keyboard.press("Tab")
    page.dispatch_event("#size", "change")
    page.select_option("#other", "second")
    page.get_by_text("second: 97").wait_for()
    assert [url.partition("/predict?")[2] for url in tab.asked if "/predict" in url] == [
        "model=first&kind=cutout",
        "model=first&size=64&kind=cutout",
        "model=second&size=64&kind=cutout",
    ]
    requests = held(page, "**/side_outputs*")
    for view in ("sides", "mask", "sides", "cutout", "sides"):
        page.check(f"input[value={view}]")
    status_is(page, "^Drawing the side outputs of first")
    requests[0].continue_()
    status_is(page, "^Drawing the side outputs of second")
    page.check("input[value=mask]")
    page.check("input[value=sides]")
    requests[1].continue_()
    status_is(page, "^Done")
    assert [page.locator(".sheet img").nth(number).is_visible() for number in (0, 1)] == [True, True]
    assert len(requests) == 2


def test_value_only_the_last_choice_is_shown(open_page, photograph, pixels):
    page = open_page().page
    requests = held(page, "**/predict?model=first*")
    upload(page, photograph, "one.png")
    status_is(page, "^Predicting with first")
    upload(page, encoded(Image.fromarray(pixels[:40])), "two.png")
    status_is(page, "^Predicting with first")
    page.select_option("#model", "second")
    page.get_by_text("second: 97 × 40 pixels").wait_for()
    assert page.locator("figure").count() == 1
    assert [request.request.failure for request in requests] == ["net::ERR_ABORTED"] * 2
    assert downloaded(page)[0] == "two_cutout_second.png"


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
            route.fulfill(status=429, headers={"Retry-After": "3"}, json={"error": "16 requests are waiting"})
        else:
            route.continue_()

    page.route("**/predict*", predict)
    page.goto(tab.address)
    status_is(page, "^The server is downloading first, 2 of 5 MB")
    status_is(page, "^$")
    upload(page, photograph)
    status_is(page, "^The server is busy")
    page.wait_for_timeout(1200)  # it stays for as long as the page waits
    status_is(page, "^The server is busy")
    status_is(page, "^Done")
    tab.close()


def test_value_asks_for_the_token(browser, strict_server):
    tab = Tab(browser, f"http://127.0.0.1:{strict_server.port}/")
    status_is(tab.page, "^This server asks for its token")
    tab.page.fill("#token", "wrong")
    tab.page.keyboard.press("Enter")
    status_is(tab.page, "^This is not the token of this server")
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
