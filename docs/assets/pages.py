"""Photograph the pages of `dichoseg serve` and `dichoseg view` with Chromium: `page.jpg` and `view.jpg`.

    python docs/assets/pages.py MODEL OTHER RUN OTHER_RUN [--all FOLDER]

`--all` also writes each page at 1280 and 390 pixels, light and dark, to a folder. Needs the package playwright, and
Chromium.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

SEEN = (
    ("1280", 1280, 900, "light"),
    ("390", 390, 900, "dark"),
    ("1280", 1280, 900, "dark"),
    ("390", 390, 900, "light"),
)
HEIGHT = 800


@contextmanager
def address(*command: object) -> Iterator[str]:
    """Run a command that serves a page; give its address."""
    arguments = [sys.executable, "-m", "dichoseg", *map(str, command), "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def try_model(page: Page) -> None:
    """Compare two models on an example."""
    page.locator("#other").select_option(index=2)
    page.get_by_alt_text("tree").click()
    expect(page.locator("#status")).to_have_text(re.compile("^Done"), timeout=300_000)


def look_at_run(page: Page) -> None:
    """Wait for the curves, and choose an epoch that both runs have."""
    page.locator("#curves figure").first.wait_for(timeout=60_000)
    page.locator("#epoch").fill("3")
    page.locator("#epoch").blur()
    for image in page.locator("img").all():
        image.evaluate("image => image.decode()")


def photograph(browser: Browser, url: str, prepare: Callable[[Page], None], *, whole: bool) -> list[Image.Image]:
    """Photograph a page at each width and in each theme."""
    pictures = []
    for _, width, height, theme in SEEN:
        options: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": theme}
        page = browser.new_context(bypass_csp=True, **options).new_page()
        page.goto(url)
        prepare(page)
        pictures.append(Image.open(io.BytesIO(page.screenshot(full_page=whole))).convert("RGB"))
        page.context.close()
    return pictures


def beside(wide: Image.Image, narrow: Image.Image) -> Image.Image:
    """Lay the page of a computer and that of a phone beside each other."""
    parts = [part.resize((round(part.width * HEIGHT / part.height), HEIGHT)) for part in (wide, narrow)]
    both = Image.new("RGB", (sum(part.width for part in parts) + 16, HEIGHT), "#888")
    both.paste(parts[0], (0, 0))
    both.paste(parts[1], (parts[0].width + 16, 0))
    return both


def main() -> None:
    """Photograph both pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "other", "run", "other_run"):
        parser.add_argument(name)
    parser.add_argument("--all", type=Path)
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        jobs = {
            "page": (("serve", "--models", options.model, options.other), try_model),
            "view": (("view", options.run, options.other_run), look_at_run),
        }
        for name, (command, prepare) in jobs.items():
            with address(*command) as url:
                pictures = photograph(browser, url, prepare, whole=name == "page")
            for (width, _, _, theme), picture in zip(SEEN, pictures, strict=True) if options.all else ():
                picture.save(options.all / f"{name}-{width}-{theme}.png")
            beside(*pictures[:2]).save(Path(__file__).with_name(f"{name}.jpg"), quality=82)
        browser.close()


if __name__ == "__main__":
    main()
