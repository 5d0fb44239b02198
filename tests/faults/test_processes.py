"""Processes killed under a real HTTP load: nothing acknowledged is lost, nothing is recorded twice,
and the service comes back with nobody's help."""

import asyncio
import os
import resource
import signal
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import WriterLost
from ledger.initialise import initialise
from ledger.store import open_store
from ledger_verifier.audit.report.model import Verdict
from tests.conftest import MakeDatabase
from tests.faults.account import Acknowledged, assert_whole, count
from tests.faults.kill import kill_under_load, make_token
from tests.faults.load import loading
from tests.faults.postgres import own_server
from tests.faults.service import children_of, supervised
from tests.ledger.acts import credential, identified

ANY = credential()


async def assert_survives(directory: DataDirectory, kills: int) -> None:
    outcome = await kill_under_load(directory, kills, seed=kills)
    assert outcome.killed.total() == kills
    assert outcome.count.whole
    assert outcome.verdict is Verdict.VERIFIED
    # A supervisor starts what did not end well; this service never ends well by itself.
    assert set(outcome.exits) <= {1, -signal.SIGKILL}


async def test_killed_again_and_again_on_sqlite(tmp_path: Path) -> None:
    await assert_survives(initialise(tmp_path / "data", publish_seconds=0.1), 3)


async def test_killed_again_and_again_on_postgresql(tmp_path: Path, postgres: MakeDatabase) -> None:
    await assert_survives(
        initialise(
            tmp_path / "data", database=postgres(), key_database=postgres(), publish_seconds=0.1
        ),
        2,
    )


async def test_postgresql_killed_and_restarted_under_load(tmp_path: Path) -> None:
    random = Random(7)
    with own_server() as server:
        directory = initialise(
            tmp_path / "data",
            database=server.make_database(),
            key_database=server.make_database(),
            publish_seconds=0.1,
        )
        async with (
            supervised(directory.path) as service,
            loading([service], make_token(directory), clients=4, seed=3) as load,
        ):
            await load.reach(random.randint(5, 25))
            server.kill_backend(random)
            await load.reach(random.randint(5, 25))
            server.kill()
            server.start()
            await load.reach(25)
        assert_whole(directory, load.acknowledged)


async def test_a_projector_that_dies_is_replaced(sqlite_directory: DataDirectory) -> None:
    async with Ledger.open(sqlite_directory.path) as ledger:
        await ledger.record(ANY, [identified()])
        for _ in range(2):
            await _projected(ledger)
            (projector,) = [p for p in children_of(os.getpid()) if _runs_projector(p)]
            os.kill(projector, signal.SIGKILL)
            await ledger.record(ANY, [identified()])
        await _projected(ledger)


def _runs_projector(pid: int) -> bool:
    return b"ledger.projections.runner" in Path(f"/proc/{pid}/cmdline").read_bytes()


async def _projected(ledger: Ledger) -> None:
    """Wait until the read models have seen the whole log; fails when that does not come about."""

    async def seen() -> None:
        status = await ledger.status()
        while status["projected_size"] < status["tree_size"]:
            await asyncio.sleep(0.05)
            status = await ledger.status()

    await asyncio.wait_for(seen(), 30)


def largest_file(path: Path) -> int:
    return max(file.stat().st_size for file in path.glob("*.sqlite*"))


@pytest.mark.parametrize("room", [0, 30_000])
async def test_a_full_disk_is_an_error_and_nothing_is_half_written(
    sqlite_directory: DataDirectory, room: int
) -> None:
    told: list[Acknowledged] = []
    events = [identified() for _ in range(30)]
    async with Ledger.open(sqlite_directory.path) as ledger:
        await ledger.record(ANY, [identified()])
        # What the writer's file system will still take of the write-ahead log, or of any file.
        limit = largest_file(sqlite_directory.path) + room
        resource.prlimit(ledger.writer_pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        with pytest.raises(WriterLost):
            for event in events:
                (done,) = await ledger.record(ANY, [event])
                told.append(Acknowledged(event.id, done.position, done.receipt))
        assert await ledger.closed
        # What was acknowledged is there, and nothing else is.
        report = count(sqlite_directory, told)
        assert report.whole
        with closing(open_store(sqlite_directory.database)) as store:
            found = store.duplicates([(event.source, event.id) for event in events])
        assert len(found) - len(told) in (0, 1)
    # Space again, and the service goes on where it was.
    async with Ledger.open(sqlite_directory.path) as ledger:
        for event in events:
            (done,) = await ledger.record(ANY, [event])
            told.append(Acknowledged(event.id, done.position, done.receipt))
    assert_whole(sqlite_directory, told)
