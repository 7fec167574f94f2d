"""A headless Chromium that tests drive, and what its pages must not do."""

import shutil
from collections.abc import Iterator

import pytest


class Tab:
    """A page of the browser, with the addresses that it asked for and the errors that it met."""

    def __init__(self, browser, address: str, **options: object) -> None:
        self.address = address
        self.context = browser.new_context(bypass_csp=True, **options)  # which Playwright's own scripts need
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)

    def close(self) -> None:
        """Close the tab; nothing may have been loaded from elsewhere."""
        self.context.close()
        assert not self.errors
        assert [url for url in self.asked if not url.startswith((self.address, "blob:", "data:"))] == []

    @property
    def is_too_wide(self) -> bool:
        """Whether the page is wider than the window."""
        return self.page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.fixture(scope="module")  # no longer, because meanwhile no other test of this process can run an event loop
def browser() -> Iterator[object]:
    """Chromium without a window, through Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()
