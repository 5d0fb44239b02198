"""Retries: the first answer again, at a bounded cost, and never ahead of this machine's guard."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import DuplicateConflict, LedgerError
from ledger.initialise import initialise, join
from ledger.log.guard import remembered
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.note import Note
from ledger_verifier.formats.proof import LogProof
from tests.conftest import MakeDatabase
from tests.ledger.acts import act, credential, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


class Counted:
    """Counts the transactions of a database and of a store, for as long as it is entered."""

    def __init__(self, ledger: Ledger, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for owner, name in (
            (ledger._store, "read"),
            (ledger._opener._keys._database, "transaction"),
        ):
            patch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, begin: Callable[[], Any]) -> Callable[[], Any]:
        @contextmanager
        def counted() -> Iterator[Any]:
            self.count += 1
            with begin() as rows:
                yield rows

        return counted


async def test_a_batch_sent_again_costs_hardly_more_reads_than_one_event(
    ledger: Ledger, shared_directory: DataDirectory
) -> None:
    people = [identified() for _ in range(60)]
    shared = [act("data.disclosed", person.stream) for person in people]
    first = await ledger.record(ANY, [*people, *shared])
    counts = []
    for batch in ([people[0]], [*people, *shared]):
        with pytest.MonkeyPatch.context() as patch:
            counted = Counted(ledger, patch)
            again = await ledger.record(ANY, batch)
        counts.append(counted.count)
    assert counts[1] <= counts[0] + 4, counts
    assert [replace(one, receipt="", created=True) for one in again] == [
        replace(one, receipt="") for one in first
    ]
    policy = shared_directory.policy()
    for one in again:
        proof = LogProof.parse(one.receipt)
        assert proof.index == one.position
        proof.verify(one.leaf_hash, policy.open(proof.checkpoint).checkpoint)


async def test_one_of_a_batch_that_is_another_event_is_named(ledger: Ledger) -> None:
    people = [identified() for _ in range(3)]
    await ledger.record(ANY, people)
    changed = replace(people[1], data={**people[1].data, "purpose": "safeguarding"})
    with pytest.raises(DuplicateConflict) as refused:
        await ledger.record(ANY, [people[0], changed, people[2]])
    assert [field.pointer for field in refused.value.fields] == ["/1/id"]


async def test_a_batch_sent_again_after_some_of_it_was_erased(ledger: Ledger) -> None:
    people = [identified() for _ in range(3)]
    first = await ledger.record(ANY, people)
    await ledger.record(DPO, [act("erasure.executed", people[1].stream)])
    again = await ledger.record(ANY, people)
    assert [one.position for one in again] == [one.position for one in first]


def size_of(checkpoint: bytes) -> int:
    return Checkpoint.parse(Note.parse(checkpoint).text).size


Asked = Callable[[Ledger, StreamRef, Any, int], Awaitable[Any]]
ASKED: dict[str, Asked] = {
    "a retry": lambda ledger, _, submission, __: ledger.record(ANY, [submission]),
    "a receipt": lambda ledger, _, __, position: ledger.receipt(DPO, position),
    "the checkpoint": lambda ledger, *_: ledger.checkpoint(),
}


@pytest.mark.parametrize("name", ASKED)
async def test_what_another_replica_committed_is_in_the_guard_before_it_is_shown(
    postgres: MakeDatabase, tmp_path: Path, name: str
) -> None:
    """As between COMMIT and the guard's write on one machine."""
    one = initialise(
        tmp_path / "one", database=postgres(), key_database=postgres(), publish_seconds=0.05
    )
    two = join(tmp_path / "two", one.path)
    async with Ledger.open(one.path) as first, Ledger.open(two.path) as second:
        submission = identified()
        (recorded,) = await first.record(ANY, [submission])
        assert size_of(remembered(two.guard_path)) <= recorded.position
        await ASKED[name](second, submission.stream, submission, recorded.position)
        assert size_of(remembered(two.guard_path)) > recorded.position


async def test_a_fault_is_named_by_its_place_in_the_whole_batch(ledger: Ledger) -> None:
    """Whatever of the batch was recorded before: also where the faulty one alone is new."""
    retried, other = identified(), identified()
    await ledger.record(DPO, [retried, other])
    for faulty, pointer in (
        (replace(act("case.closed", retried.stream), expected_version=9), "/expectedversion"),
        (replace(act("case.closed", retried.stream), hub="E09000001"), "/hub"),
        (act("erasure.executed"), "/subject"),
        (act("content.referred", StreamRef("content", other.stream.id)), "/subject"),
        (replace(act("case.closed", retried.stream), time=ahead()), "/time"),
    ):
        for batch in ([retried, faulty], [retried, other, faulty]):
            with pytest.raises(LedgerError) as caught:
                await ledger.record(DPO, batch)
            assert [one.pointer for one in caught.value.fields] == [f"/{len(batch) - 1}{pointer}"]
        with pytest.raises(LedgerError) as caught:
            await ledger.record(DPO, [faulty])
        assert [one.pointer for one in caught.value.fields] == [pointer]


def ahead() -> str:
    """A day that is well ahead."""
    return (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
