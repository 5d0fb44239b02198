"""What expires or is erased while somebody is reading it: the reading is recorded, and then nothing
of what was gone by then is given out."""

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import Expired
from ledger.expiring import Expirer
from ledger.intake import Draft
from ledger.submission import Recorded, Submission
from ledger_verifier.formats.bundle import BundleReader, decode_disclosures
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.tiles import Tile, decode_entries
from tests.ledger.acts import act, credential, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
LATER = datetime.now(UTC) + timedelta(days=4000)

Read = Callable[[StreamRef, int], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        await opened.record(DPO, [act("policy.adopted")])
        yield opened


@pytest.fixture
def meanwhile(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Callable[[Submission], None]:
    """Has something recorded right before the next reading is, once."""
    monkeypatch.setattr(Expirer, "now", lambda _: LATER)

    def hook(event: Submission) -> None:
        waiting = [event]
        record = ledger._recorder.record_for_service

        async def first(draft: Draft) -> Recorded:
            while waiting:
                await ledger.record(DPO, [waiting.pop()])
            return await record(draft)

        monkeypatch.setattr(ledger._recorder, "record_for_service", first)

    return hook


async def closed_case(ledger: Ledger) -> tuple[StreamRef, int]:
    stream = StreamRef("case", str(uuid4()))
    recorded = await ledger.record(ANY, [identified(stream), act("case.closed", stream)])
    return stream, recorded[0].position


def readings(ledger: Ledger) -> dict[str, Read]:
    return {
        "case": lambda case, _: ledger.case(DPO, case.id, ACTOR, None),
        "bundle": lambda case, _: ledger.bundle(DPO, case, actor=ACTOR),
        "opened bundle": lambda case, _: ledger.bundle(DPO, case, actor=ACTOR, purpose="review"),
        "pack": lambda case, _: ledger.bundle(
            DPO, case, "subject", actor=ACTOR, purpose="rights-request"
        ),
        "entry": lambda _, position: ledger.entry(DPO, position, ACTOR),
        "sealed fields": lambda _, position: ledger.sealed(DPO, position, ACTOR, "review"),
    }


@pytest.mark.parametrize(
    "name", ["case", "bundle", "opened bundle", "pack", "entry", "sealed fields"]
)
@pytest.mark.parametrize("read_before", [False, True])
async def test_what_expires_meanwhile_is_not_given_out(
    ledger: Ledger, meanwhile: Callable[[Submission], None], name: str, *, read_before: bool
) -> None:
    """Also where somebody has read it before, so that the record of reading expires with it."""
    case, position = await closed_case(ledger)
    if read_before:
        await ledger.case(DPO, case.id, ACTOR, None)
    meanwhile(act("expiry.ordered"))
    with pytest.raises(Expired):
        await readings(ledger)[name](case, position)


async def test_what_expires_meanwhile_is_in_no_page_and_no_entry_bundle(
    ledger: Ledger, meanwhile: Callable[[Submission], None]
) -> None:
    _, position = await closed_case(ledger)
    meanwhile(act("expiry.ordered"))
    found, _, _ = await ledger.feed(credential(Role.DPO), position - 1, 2)
    assert position not in [one for one, _ in found]
    _, position = await closed_case(ledger)
    meanwhile(act("expiry.ordered"))
    assert position < 255
    tile = Tile(None, 0, position + 1)
    raw = await ledger.entry_bundle(credential(Role.AUDITOR), tile)
    assert decode_entries(raw, position + 1)[position] == b""


@pytest.mark.parametrize("name", ["opened bundle", "pack"])
async def test_what_is_erased_meanwhile_is_not_opened(
    ledger: Ledger, meanwhile: Callable[[Submission], None], name: str
) -> None:
    case, position = await closed_case(ledger)
    meanwhile(act("erasure.executed", case))
    raw: Any = await readings(ledger)[name](case, position)
    bundle = BundleReader(io.BytesIO(raw))
    opened = {
        Disclosure.parse(text).name
        for member in bundle.names
        if member.startswith("disclosures/")
        for text in decode_disclosures(bundle.read(member))
    }
    assert not opened & {"name", "subject_category"}
