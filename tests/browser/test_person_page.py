"""The page in a person's own pack as a browser shows it: WCAG 2.2 AA, on a telephone, hostile."""

import io
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from ledger.access import Role
from ledger.application import Ledger
from ledger.initialise import initialise
from ledger_verifier.audit.person import PAGE
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.meaning import plain
from tests.browser.conftest import Watched
from tests.browser.reports import HOSTILE
from tests.ledger.acts import act, credential, example

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a person about whom something of every kind was recorded, some of it hostile."""
    folder = tmp_path_factory.mktemp("page")
    directory = initialise(folder / "data", publish_seconds=0.05)
    stream = StreamRef("case", str(uuid4()))
    said = {
        **example("subject.identified").data,
        "reasons": HOSTILE.replace("\x00", "").replace("\x1b", ""),
    }
    names = ("subject.notified", "support.offered", "data.disclosed", "case.reviewed")
    async with Ledger.open(directory.path) as ledger:
        events = [act("subject.identified", stream, data=said), *(act(n, stream) for n in names)]
        await ledger.record(credential(), events)
        raw = await ledger.bundle(
            credential(Role.RIGHTS_OFFICER),
            stream,
            "subject",
            actor=ACTOR,
            purpose="rights-request",
        )
    file = folder / "page.html"
    file.write_bytes(BundleReader(io.BytesIO(raw)).read(PAGE))
    return file


async def test_axe_finds_nothing_and_it_fits_a_telephone(watched: Watched, page: Path) -> None:
    await watched.page.goto(page.as_uri())
    assert await watched.violations() == []
    await watched.page.emulate_media(color_scheme="dark")
    assert await watched.violations("color-contrast") == []
    await watched.page.set_viewport_size({"width": 320, "height": 640})
    assert await watched.overflow() == 0
    assert watched.complaints == []
    assert watched.requests == [page.as_uri()]


async def test_it_begins_with_what_it_is_and_then_goes_by_day(watched: Watched, page: Path) -> None:
    await watched.page.goto(page.as_uri())
    assert await watched.page.inner_text("h1") == plain.TITLE
    headings = await watched.page.locator("h2").all_inner_texts()
    assert headings[0] == "12 January 2026"
    assert headings[-2:] == [plain.RIGHTS_TITLE, plain.FILES_TITLE]
    assert len(headings) == 7
