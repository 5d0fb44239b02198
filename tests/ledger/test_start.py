"""A ledger that cannot vouch for its log does not open, and says why."""

import shutil
import time
from contextlib import closing
from pathlib import Path

import pytest

from ledger import config
from ledger.access import Role
from ledger.application import Ledger
from ledger.catalogue import CATALOGUE
from ledger.config import DataDirectory
from ledger.errors import ConfigurationError, IntegrityAlarm
from ledger.initialise import initialise
from ledger.log.clock import Clock, instant, seconds_of
from ledger.log.guard import Guard
from ledger.log.sequencer import Sequencer, sign_checkpoint
from ledger.store import open_store
from tests.ledger.acts import credential, identified

ANY = credential()
DPO = credential(Role.DPO)
#: What `initialise` records: the opening, and every registration.
INITIAL = 1 + len(CATALOGUE.registrations())


async def record(directory: DataDirectory, count: int) -> None:
    async with Ledger.open(directory.path) as ledger:
        for _ in range(count):
            await ledger.record(ANY, [identified()])


async def refused(directory: DataDirectory, match: str) -> None:
    with pytest.raises(IntegrityAlarm, match=match):
        async with Ledger.open(directory.path):
            pass


async def test_it_opens_again_and_goes_on(directory: DataDirectory) -> None:
    await record(directory, 3)
    await record(directory, 2)
    with closing(open_store(directory.database)) as store:
        head = store.head()
    assert head is not None
    assert head.size == INITIAL + 5


async def test_an_older_store_than_the_guard_is_refused(sqlite_directory: DataDirectory) -> None:
    store_file = Path(sqlite_directory.database)
    old = store_file.with_name("old")
    shutil.copy(store_file, old)
    await record(sqlite_directory, 3)
    for suffix in ("", "-wal", "-shm"):
        store_file.with_name(store_file.name + suffix).unlink(missing_ok=True)
    shutil.copy(old, store_file)
    await refused(sqlite_directory, "lost entries or is an old copy")


async def test_an_older_guard_than_the_store_is_taken_forward(directory: DataDirectory) -> None:
    # A crash between COMMIT and the guard leaves exactly this.
    old = directory.guard_path.read_bytes()
    await record(directory, 3)
    directory.guard_path.write_bytes(old)
    await record(directory, 1)
    assert Guard(directory.guard_path).checkpoint.split(b"\n")[1] == b"%d" % (INITIAL + 4)


async def test_another_history_than_the_guards_is_refused(directory: DataDirectory) -> None:
    await record(directory, 3)
    keys = directory.signing_keys()
    guard = Guard(directory.guard_path)
    guard.write(sign_checkpoint(keys.ed25519, directory.origin, 15, bytes(32)))
    guard.close()
    await refused(directory, "another root at size 15")


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        ("UPDATE head SET size = size + 1", "head"),
        ("UPDATE head SET root = checkpoint", "head"),
        ("UPDATE head SET checkpoint = root", "does not verify"),
        ("UPDATE head SET edge = root", "head"),
        ("DELETE FROM head", "holds no log"),
    ],
)
async def test_a_head_that_was_altered_is_refused(
    directory: DataDirectory, statement: str, match: str
) -> None:
    with closing(open_store(directory.database)) as store, store._write() as rows:
        rows.execute(statement)
    await refused(directory, match)


async def test_a_destroyed_guard_is_refused(directory: DataDirectory) -> None:
    directory.guard_path.write_bytes(bytes(8192))
    await refused(directory, "guard")


async def test_a_ledger_is_never_created_over_another(
    directory: DataDirectory, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in directory.keys_path.glob("*.key")}
    with pytest.raises(ConfigurationError, match="already"):
        initialise(directory.path)
    assert {path: path.read_bytes() for path in directory.keys_path.glob("*.key")} == before
    if not directory.embedded:
        with pytest.raises(ConfigurationError, match="already"):
            initialise(tmp_path / "second", database=directory.database)
        assert not (tmp_path / "second").exists()


def test_an_unreachable_database_leaves_no_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="reached"):
        initialise(tmp_path / "data", database=f"postgresql://nobody@/none?host={tmp_path}")
    assert not (tmp_path / "data").exists()


def test_everything_in_the_directory_is_its_owners_alone(directory: DataDirectory) -> None:
    for path in [directory.path, *directory.path.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


async def test_two_services_on_one_directory(sqlite_directory: DataDirectory) -> None:
    async with Ledger.open(sqlite_directory.path):
        with (
            pytest.raises(ConfigurationError, match="Another process"),
            config.locked(sqlite_directory, wait=0.2),
        ):
            pass


def sequencer_at(directory: DataDirectory, now: float) -> Sequencer:
    clock = Clock(lambda: now, time.monotonic)
    store = open_store(directory.database)
    return Sequencer(store, directory.signing_keys().ed25519, directory.origin, clock, None)


def test_a_clock_far_past_the_last_entry_needs_the_operators_word(
    sqlite_directory: DataDirectory,
) -> None:
    day = 24 * 3600
    sequencer_at(sqlite_directory, time.time() + day - 60).check_start()
    late = sequencer_at(sqlite_directory, time.time() + day + 60)
    with pytest.raises(IntegrityAlarm, match="--accept-clock"):
        late.check_start()
    late.check_start(accept_clock=True)


def test_a_wall_clock_that_runs_ahead_stops_the_writer() -> None:
    wall, ticks = [1000.0], [0.0]
    clock = Clock(lambda: wall[0], lambda: ticks[0])
    wall[0], ticks[0] = 1059.0, 0.0
    clock.now()
    wall[0], ticks[0] = 1100.0, 39.0
    with pytest.raises(IntegrityAlarm):
        clock.now()


def test_stamps_never_go_back() -> None:
    wall = [1_700_000_000.0]
    clock = Clock(lambda: wall[0], lambda: wall[0])
    first = clock.stamp("0000-00-00T00:00:00.000Z")
    wall[0] -= 3600
    assert clock.stamp(first) == first
    assert seconds_of(instant(1_700_000_000.1239)) == 1_700_000_000.123


def test_a_database_clock_behind_this_one_is_an_alarm() -> None:
    clock = Clock(lambda: 1000.0, lambda: 0.0)
    clock.check_database(None)
    clock.check_database(941.0)
    with pytest.raises(IntegrityAlarm):
        clock.check_database(939.0)
