"""The case index: resumes, rebuilds beside the live one, and equals a replay."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from click.testing import CliRunner

from ledger.application import Ledger
from ledger.cli import cli
from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.projections.cases import CaseIndex, ProjectionRaceError, replay
from ledger.store import Store, open_store
from ledger_verifier.formats.entry import StreamRef
from tests.ledger.acts import act, credential, identified

ANY = credential()


async def fill(directory: DataDirectory) -> None:
    async with Ledger.open(directory.path) as ledger:
        for _ in range(12):
            stream = StreamRef("case", str(uuid4()))
            await ledger.record(
                ANY,
                [identified(stream), act("subject.notified", stream), act("case.closed", stream)],
            )
        await ledger.record(ANY, [act("content.referred")])


@pytest.fixture(scope="module")
def filled(shared_directory: DataDirectory) -> DataDirectory:
    asyncio.run(fill(shared_directory))
    return shared_directory


@pytest.fixture
def store(filled: DataDirectory) -> Iterator[Store]:
    opened = open_store(filled.database)
    yield opened
    opened.close()


@pytest.fixture
def index(filled: DataDirectory) -> Iterator[CaseIndex]:
    """A projection that has seen nothing yet, in the database of the filled ledger."""
    database = open_database(filled.projections_database)
    with database.transaction() as rows:
        rows.execute("DROP TABLE IF EXISTS case_states")
        rows.execute("DROP TABLE IF EXISTS projections")
    made = CaseIndex(database)
    made.create()
    yield made
    database.close()


def cases(store: Store) -> dict[str, int]:
    """Case ids, with the position of the last entry of each."""
    return {
        stored.stream.removeprefix("case/"): stored.position
        for stored in store.entries(0, 1000)
        if stored.stream.startswith("case/")
    }


@pytest.mark.parametrize("batch", [1, 2, 5, 1000])
def test_after_each_step_every_state_is_a_replay(
    store: Store, index: CaseIndex, batch: int
) -> None:
    head = store.head()
    assert head is not None
    while index.step(store, batch):
        size = index.size()
        for case_id in cases(store):
            stored = [s for s in store.stream(f"case/{case_id}") if s.position < size]
            assert index.state(case_id) == (replay(stored) if stored else None)
    assert index.size() == head.size


def test_a_rebuild_gives_the_same_states_and_leaves_one_generation(
    store: Store, index: CaseIndex, filled: DataDirectory
) -> None:
    while index.step(store, 7):
        pass
    before = index.digest()
    seen: list[tuple[int, int]] = []
    assert index.rebuild(store, lambda done, of: seen.append((done, of))) == index.size()
    assert index.digest() == before
    database = open_database(filled.projections_database)
    with database.transaction() as rows:
        rows.execute("SELECT COUNT(*), MAX(generation) FROM projections")
        assert rows.fetchone() == (1, 2)
        rows.execute("SELECT COUNT(DISTINCT generation) FROM case_states")
        assert rows.fetchone() == (1,)
    database.close()


def test_a_rebuild_repairs_what_was_altered(store: Store, index: CaseIndex) -> None:
    while index.step(store):
        pass
    before = index.digest()
    with index._database.transaction() as rows:
        rows.execute("UPDATE case_states SET state = '{}'")
    assert index.digest() != before
    index.rebuild(store)
    assert index.digest() == before


def test_an_abandoned_rebuild_is_never_live_and_is_cleared_away(
    store: Store, index: CaseIndex
) -> None:
    while index.step(store):
        pass
    before = index.digest()

    def stop(_done: int, _of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.rebuild(store, stop, batch=3)
    assert index.digest() == before
    index.rebuild(store)
    assert index.digest() == before


def test_two_projectors_fold_each_entry_once(
    store: Store, index: CaseIndex, filled: DataDirectory
) -> None:
    database = open_database(filled.projections_database)
    other = CaseIndex(database)
    turn = 0
    while True:
        turn += 1
        try:
            if not (index, other)[turn % 2].step(store, 3):
                break
        except ProjectionRaceError:
            continue
    for case_id in cases(store):
        assert index.state(case_id) == replay(store.stream(f"case/{case_id}"))
    database.close()


def test_the_command(filled: DataDirectory, store: Store, index: CaseIndex) -> None:
    while index.step(store):
        pass
    done = CliRunner().invoke(cli, ["rebuild", "--data", str(filled.path)])
    assert done.exit_code == 0, done.output
    assert index.digest() in done.output
