"""A stream is read whole or not at all, whatever somebody with the database does to its rows."""

from collections.abc import AsyncIterator
from contextlib import closing

import pytest
import pytest_asyncio

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import ErasureBarred, IntegrityAlarm
from ledger.store import open_store
from ledger.store.records import EVENTS_TABLE
from ledger.submission import Recorded, Submission
from tests.ledger.acts import act, credential, identified
from tests.ledger.copies import in_store

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


async def held(ledger: Ledger) -> tuple[Submission, list[Recorded]]:
    """A person whose data is held, in the middle of their stream."""
    person = identified()
    hold = act("legal_hold.placed", person.stream)
    recorded = await ledger.record(ANY, [person, hold, act("case.reviewed", person.stream)])
    return person, list(recorded)


#: What is done to the second of three entries, or to the head; `{p}` is a position, `?` are the
#: second entry's and the stream.
ALTERED = {
    "another type": f"UPDATE {EVENTS_TABLE} SET topic = 'x' WHERE {{p}} = ?",
    "another stream": f"UPDATE {EVENTS_TABLE} SET originator_id = 'x' || originator_id"
    " WHERE {p} = ?",
    "out of order": f"UPDATE {EVENTS_TABLE} SET originator_version = 9 WHERE {{p}} = ?",
    "removed": f"DELETE FROM {EVENTS_TABLE} WHERE {{p}} = ?",
    "the last removed": f"DELETE FROM {EVENTS_TABLE} WHERE {{p}} = ? + 1",
    "the first removed": f"DELETE FROM {EVENTS_TABLE} WHERE {{p}} = ? - 1",
    "all removed": f"DELETE FROM {EVENTS_TABLE} WHERE {{p}} - ? BETWEEN -1 AND 1",
}
HEADS = {
    "a shorter head": "UPDATE stream_heads SET version = 2 WHERE stream = ?",
    "another head": "UPDATE stream_heads SET link = substr(link, 2) WHERE stream = ?",
    "no head": "DELETE FROM stream_heads WHERE stream = ?",
}


@pytest.mark.parametrize("how", [*ALTERED, *HEADS])
async def test_a_stream_that_is_not_whole_is_not_read(
    ledger: Ledger, shared_directory: DataDirectory, how: str
) -> None:
    person, recorded = await held(ledger)
    with closing(open_store(shared_directory.database)) as store:
        assert len(store.stream(person.stream.text)) == 3
        if how in HEADS:
            in_store(shared_directory, HEADS[how], person.stream.text)
        else:
            in_store(shared_directory, ALTERED[how], recorded[1].position)
        with pytest.raises(IntegrityAlarm, match="case stream"):
            store.stream(person.stream.text)
        assert store.stream("case/none") == []


@pytest.mark.parametrize("how", ["another type", "another stream"])
async def test_no_hold_is_overlooked_while_its_row_is_altered(
    ledger: Ledger, shared_directory: DataDirectory, how: str
) -> None:
    person, recorded = await held(ledger)
    in_store(shared_directory, ALTERED[how], recorded[1].position)
    with pytest.raises(IntegrityAlarm):
        await ledger.record(DPO, [act("erasure.executed", person.stream)])
    with pytest.raises(IntegrityAlarm):
        await ledger.open_entry(DPO, recorded[0].position, ACTOR, "erasure")
    with pytest.raises(IntegrityAlarm):
        await ledger.case(DPO, person.stream.id, ACTOR, None)
    back = f"UPDATE {EVENTS_TABLE} SET topic = ?, originator_id = ? WHERE {{p}} = ?"
    now = ("legal_hold.placed", person.stream.text, recorded[1].position)
    in_store(shared_directory, back, *now)
    with pytest.raises(ErasureBarred):
        await ledger.record(DPO, [act("erasure.executed", person.stream)])
