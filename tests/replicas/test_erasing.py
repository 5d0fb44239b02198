"""Two replicas that erase the same person at once: it happens once, and is verified once."""

import asyncio
from contextlib import closing

from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import Busy, LedgerError, NothingToErase
from ledger.fsck import check
from ledger.store import open_store
from ledger.submission import Recorded
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import StreamRef
from tests.ledger.acts import act, credential, identified
from tests.ledger.copies import key_rows

ANY = credential()


async def test_two_replicas_erase_one_stream_once(
    first: DataDirectory, second: DataDirectory
) -> None:
    people = [identified() for _ in range(6)]
    async with Ledger.open(first.path) as one, Ledger.open(second.path) as other:
        await one.record(ANY, people)
        for person in people:
            done = await asyncio.gather(
                *(erase(ledger, person.stream.text) for ledger in (one, other))
            )
            assert sorted(type(each).__name__ for each in done) in (
                ["NothingToErase", "Recorded"],
                ["Busy", "Recorded"],
            )
        # What comes after is under a new key, whichever replica it comes by.
        for ledger in (one, other):
            await ledger.record(ANY, [act("case.closed", people[0].stream)])
        await one.erasures_verified()
        await other.erasures_verified()
    with closing(open_store(first.database)) as store:
        for person in people:
            types = [entry.type for entry in store.stream(person.stream.text)]
            assert types.count("erasure.executed") == types.count("erasure.verified") == 1
            assert types.count("findings.frozen") == 1
    left = key_rows(first, "WHERE key_class IN ('subject', 'subject-next')")
    assert {row[1] for row in left} == {people[0].stream.text}
    report = check(first)
    assert report.verdict is Verdict.VERIFIED, report.failures


async def erase(ledger: Ledger, stream: str) -> Recorded | LedgerError:
    """Erase a stream; what came of it."""
    execution = act("erasure.executed", StreamRef.parse(stream))
    try:
        (recorded,) = await ledger.record(ANY, [execution])
    except (Busy, NothingToErase) as error:
        return error
    return recorded
