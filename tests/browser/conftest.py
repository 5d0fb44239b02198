"""A real browser: Chromium as the system has it, driven by Playwright, judged by axe.

`make browser` installs it on Debian. Where it is missing, the tests fail and say so.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import (  # type: ignore[import-untyped]  # no types
    Axe,
)
from playwright.async_api import Browser, Page, async_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: The success criteria of WCAG 2.2, A and AA, that a program can judge, and axe's good practice.
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, once for a module."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail(f"None of {', '.join(NAMES)} is on PATH: run `make browser`, or install one.")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield running
        await running.close()


class Watched:
    """A page, with everything it asked for and everything the browser complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    async def violations(self, *rules: str, within: str | None = None) -> list[str]:
        """What axe objects to, a line each; by some of its rules alone, where they are named, and
        `within` one part of the page."""
        options = {"runOnly": {"type": "rule", "values": rules} if rules else list(RULES)}
        found: dict[str, Any] = (await Axe().run(self.page, within, options)).response
        return [
            f"{rule['id']} at {node['target']}: {node['html'][:200]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    async def overflow(self) -> int:
        """How many pixels the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(await self.page.evaluate(script))


@asynccontextmanager
async def watching(browser: Browser) -> AsyncIterator[Watched]:
    """A new page that remembers nothing of another."""
    context = await browser.new_context(viewport={"width": 1100, "height": 900})
    context.set_default_timeout(120_000)  # Milliseconds: a machine may be busy.
    yield Watched(await context.new_page())
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def watched(browser: Browser) -> AsyncIterator[Watched]:
    """Such a page for a test alone."""
    async with watching(browser) as page:
        yield page
