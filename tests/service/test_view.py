import json
import subprocess
import sys

import pytest
from PIL import Image

from dichoseg.service.view import create_view, read_run

from ..browser import Tab


def make_run(folder, *, epochs, color):
    (folder / "sheets").mkdir(parents=True)
    rows = [f"{epoch},{2 / epoch},{0.5 + epoch / 10}," for epoch in range(1, epochs + 1)]
    (folder / "history.csv").write_text("\n".join(["epoch,loss,quick_max_f,val_loss", *rows]) + "\n")
    for epoch in range(1, epochs + 1):
        Image.new("RGB", (900, 300), color).save(folder / f"sheets/epoch_{epoch:04d}.jpg")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run, and one in training."""
    folder = tmp_path_factory.mktemp("runs")
    finished = make_run(folder / "finished", epochs=3, color="red")
    (finished / "scores.json").write_text(json.dumps({"best": {"mae": 0.125, "hce": float("nan")}}))
    Image.new("RGB", (900, 300), "red").save(finished / "worst.jpg")
    return finished, make_run(folder / "training", epochs=2, color="blue")


@pytest.fixture(scope="module")
def address(runs):
    """The address of `dichoseg view` in a process of its own."""
    command = [sys.executable, "-m", "dichoseg", "view", *map(str, runs), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().split()[-1] + "/"
        process.terminate()


def test_value_read_run(runs, tmp_path):
    read = read_run(runs[0])
    assert read["history"][1] == {"epoch": 2, "loss": 1, "quick_max_f": 0.7}
    assert read["scores"] == {"best": {"mae": 0.125, "hce": None}}
    assert read["sheets"] == ["epoch_0001.jpg", "epoch_0002.jpg", "epoch_0003.jpg"]
    assert read["worst"]
    (tmp_path / "plan.json").write_text("{}")
    assert read_run(tmp_path) == {"history": [], "scores": {}, "sheets": [], "worst": False}
    create_view([tmp_path])


def test_error_runs(runs, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run of dichoseg"):
        create_view([tmp_path])
    with pytest.raises(ValueError, match="one run, or two to compare; got 3"):
        create_view([*runs, runs[0]])


def test_value_page(browser, address, runs):
    from playwright.sync_api import expect

    tab = Tab(browser, address, viewport={"width": 390, "height": 844})
    page = tab.page
    expect(page.locator("#curves strong")).to_have_text(["loss", "quick_max_f"])
    expect(page.locator("#title")).to_have_text("finished and training")
    assert page.locator("#sheets figcaption").all_inner_texts() == [
        "finished: epoch 3",
        "training: no sheet of epoch 3",
    ]
    page.locator("#epoch").press("ArrowLeft")
    assert page.locator("#sheets figcaption").all_inner_texts() == ["finished: epoch 2", "training: epoch 2"]
    assert page.locator("#curves .values").first.inner_text().split() == ["1", "1"]
    assert page.locator("#curves polyline").count() == 4
    assert page.locator("#scores td").all_inner_texts() == ["finished/best", "0.125", "–"]
    assert page.locator("#worst img").count() == 1
    for image in page.locator("img").all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 900
    assert not tab.is_too_wide

    make_run(runs[1] / "later", epochs=3, color="blue")
    (runs[1] / "later/history.csv").replace(runs[1] / "history.csv")
    expect(page.locator("#curves .values").nth(1)).to_have_text("0.6667 to 2")
    page.locator("#epoch").press("ArrowRight")
    expect(page.locator("#curves .values").first).to_have_text("0.6667 0.6667")
    tab.close()


def test_error_no_other_files(browser, address, runs):
    page = browser.new_page()
    for path in ("history.csv", "../finished/worst.jpg", "..%2Ffinished%2Fworst.jpg", "sheets/epoch_0009.jpg"):
        assert page.request.get(f"{address}runs/0/{path}").status in (404, 422)
    assert page.request.get(f"{address}runs/2/worst.jpg").status == 404
    assert page.request.get(f"{address}runs/0/worst.jpg").status == 200
    page.close()
