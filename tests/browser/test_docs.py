"""The page at `/docs` in a browser: it works under its strict policy, asks nobody else, and axe
finds nothing, in Swagger UI's own parts neither."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from api.app import build_app
from tests.api.fakes import FakeLedger
from tests.browser.conftest import Watched, watching

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEED = "#operations-events-events_feed"
ALIVE = "#operations-health-health_alive"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin() -> AsyncIterator[str]:
    """Where the service is."""
    async with TestServer(build_app(FakeLedger())) as server:
        yield str(server.make_url("/")).rstrip("/")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def docs(browser: Browser, origin: str) -> AsyncIterator[Watched]:
    """The page, with its operations there: loaded once, for it takes a browser seconds."""
    async with watching(browser) as watched:
        await watched.page.goto(f"{origin}/docs")
        await watched.page.wait_for_selector(FEED)
        yield watched


async def test_it_works_asks_nobody_else_and_axe_finds_nothing(docs: Watched, origin: str) -> None:
    page = docs.page
    assert await page.inner_text("h1") == "The interface of the Hub Ledger"
    assert await page.locator(".opblock").count() > 15
    files = ("docs.css", "docs.js", "swagger-ui-bundle.js", "swagger-ui.css")
    wanted = ["/docs", *(f"/docs/assets/{name}" for name in files), "/v1/openapi.json"]
    assert sorted(docs.requests) == [origin + path for path in wanted]
    await page.click(f"{FEED} .opblock-summary-control")
    await page.click(f"{FEED} .try-out__btn")
    await page.click(".models button")
    await page.click(".models .json-schema-2020-12-expand-deep-button >> nth=0")
    await page.click(f"{ALIVE} .opblock-summary-control")
    await page.click(f"{ALIVE} .try-out__btn")
    await page.click(f"{ALIVE} .execute")
    answer = f"{ALIVE} .live-responses-table tbody .response-col_description"
    assert '"status": "ok"' in await page.inner_text(answer)
    assert docs.requests[len(wanted) :] == [f"{origin}/healthz"]
    assert await docs.violations() == []
    assert docs.complaints == []


async def test_the_token_is_asked_for_in_a_dialog(docs: Watched) -> None:
    page = docs.page
    await page.focus(".btn.authorize")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[role=dialog]")
    assert await page.evaluate("document.activeElement.id") == "auth-bearer-value"
    assert await docs.violations(within="[role=dialog]") == []
    for _ in range(6):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.closest('[role=dialog]') !== null")
    await page.keyboard.press("Escape")
    await page.wait_for_selector("[role=dialog]", state="detached")
    assert await page.evaluate("document.activeElement.matches('.btn.authorize')")


async def test_it_fits_a_window_of_320_pixels(docs: Watched) -> None:
    await docs.page.set_viewport_size({"width": 320, "height": 640})
    if not await docs.page.locator(f"{FEED} .responses-table").count():
        await docs.page.click(f"{FEED} .opblock-summary-control")
    await docs.page.wait_for_selector(f"{FEED} .responses-table")
    assert await docs.overflow() == 0
    assert await docs.violations(within=FEED) == []


async def test_its_policy_lets_nothing_else_in(docs: Watched) -> None:
    await docs.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          document.body.setAttribute("style", "color: rgb(1, 2, 3)");
        }"""
    )
    assert await docs.page.evaluate("window.ran") is None
    assert await docs.page.evaluate("fetch('https://example.org/').catch(() => 'no')") == "no"
    assert len([line for line in docs.complaints if "Content Security Policy" in line]) >= 2
