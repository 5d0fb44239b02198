"""The HTML report as a browser shows it: WCAG 2.2 AA, narrow, on paper, and hostile."""

from pathlib import Path

import pytest

from ledger_verifier.audit.report.as_html import as_html
from tests.browser.conftest import Watched
from tests.browser.reports import EARLY, HOSTILE, SIZE, all_verdicts

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("VERIFIED", "UNWITNESSED", "UNVERIFIABLE", "FAILED", "HOSTILE")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The file of each report."""
    folder = tmp_path_factory.mktemp("reports")
    found = {}
    for name, report in all_verdicts(folder).items():
        found[name] = folder / f"{name}.html"
        found[name].write_bytes(as_html(report))
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_axe_finds_nothing_and_it_fits_320_pixels(
    watched: Watched, pages: dict[str, Path], name: str
) -> None:
    await watched.page.goto(pages[name].as_uri())
    assert await watched.violations() == []
    await watched.page.emulate_media(color_scheme="dark")
    assert await watched.violations("color-contrast") == []
    await watched.page.set_viewport_size({"width": 320, "height": 640})
    assert await watched.overflow() == 0
    cut = "[...document.querySelectorAll('.table')].filter(e => e.scrollWidth > e.clientWidth)"
    assert await watched.page.evaluate(f"{cut}.length") == 0
    assert watched.complaints == []
    assert watched.requests == [pages[name].as_uri()]


async def test_the_verdict_comes_first(watched: Watched, pages: dict[str, Path]) -> None:
    for name in NAMES[:4]:
        await watched.page.goto(pages[name].as_uri())
        assert (await watched.page.title()).startswith(f"{name}: ")
        assert (await watched.page.inner_text("h1")).startswith(name)
        box = await watched.page.locator("h1").bounding_box()
        assert box is not None
        assert box["y"] < 200


async def test_the_keyboard_reaches_everything(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.page
    await page.goto(pages["FAILED"].as_uri())
    await page.keyboard.press("Tab")
    box = await page.locator(".skip").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    stops = await page.locator("a, [tabindex='0']").count()
    for _ in range(stops - 1):
        await page.keyboard.press("Tab")
        style = "getComputedStyle(document.activeElement).outlineWidth"
        assert await page.evaluate(style) == "3px"
    last = page.locator("a, [tabindex='0']").last
    assert await last.evaluate("e => e === document.activeElement")
    await page.locator(".skip").focus()
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "verdict"


async def test_the_figure_has_its_numbers_in_a_table(
    watched: Watched, pages: dict[str, Path]
) -> None:
    await watched.page.goto(pages["FAILED"].as_uri())
    labels = [await e.get_attribute("aria-label") for e in await watched.page.locator("svg").all()]
    rows = await watched.page.locator("#figure ~ .table tbody tr").all_inner_texts()
    assert [" ".join(row.split()) for row in rows] == [
        f"The log that was signed 0 to {SIZE - 1}",
        f"The same as at an earlier checkpoint 0 to {EARLY - 1}",
        f"Entries named in the failures {EARLY + 23} to {EARLY + 24}",
        "Entries named in the failures 555",
        "Stretches under the tiles named in the failures 0 to 255",
    ]
    assert labels[1:] == [
        f"The log that was signed: 0 to {SIZE - 1}",
        f"The same as at an earlier checkpoint: 0 to {EARLY - 1}",
        f"Entries named in the failures: {EARLY + 23} to {EARLY + 24}, 555",
        "Stretches under the tiles named in the failures: 0 to 255",
    ]


async def test_on_paper(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.page
    await page.goto(pages["FAILED"].as_uri())
    await page.emulate_media(media="print", color_scheme="dark")
    assert not await page.locator("nav").is_visible()
    colours = "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    assert await page.locator("html").evaluate(colours) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert (await page.pdf(prefer_css_page_size=True)).startswith(b"%PDF-")


async def test_hostile_text_is_text(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.page
    await page.goto(pages["HOSTILE"].as_uri())
    assert await page.evaluate("document.scripts.length") == 0
    shown = await page.inner_text("#failures ~ .table")
    printable = "".join(c if c.isprintable() else "\ufffd" for c in HOSTILE)
    assert printable in shown
    text = await page.inner_text("body")
    assert not {"\x1b", "\u202e", "\x00"} & set(text)


async def test_its_policy_stops_whatever_gets_in(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.page
    await page.goto(pages["FAILED"].as_uri())
    await page.evaluate(
        """() => {
          const add = (name, text) => {
            const made = document.createElement(name);
            made.textContent = text;
            document.body.append(made);
          };
          add("script", "window.ran = true");
          add("style", "h1 { color: rgb(1, 2, 3) }");
          new Image().src = "http://127.0.0.1:9/x.png";
        }"""
    )
    assert await page.evaluate("window.ran") is None
    assert await page.locator("h1").evaluate("e => getComputedStyle(e).color") != "rgb(1, 2, 3)"
    assert len([line for line in watched.complaints if "Content Security Policy" in line]) == 3
