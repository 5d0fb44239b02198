"""A backup or a restore that is killed, wherever that is, leaves nothing that passes for done, and
is run again."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger import config
from ledger.backup import keys as restoring_keys
from ledger.backup import place
from ledger.backup import restore as restoring
from ledger.backup.archive import ArchiveWriter
from ledger.backup.keys import KeyTarget
from ledger.backup.make import back_up
from ledger.backup.place import Staging
from ledger.backup.restore import Request, restore
from ledger.errors import ConfigurationError, IntegrityAlarm
from ledger.fsck import check
from tests.ledger.backup.expiring_world import ExpiringWorld, stored_of
from tests.ledger.backup.world import SQLITE, World


def killed(run: Callable[[], object], owner: Any, name: str, calls: int, *, after: bool) -> None:
    """Run something in a process of its own, which is killed before or after it calls a function
    for the n-th time."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), status
        assert os.WTERMSIG(status) == signal.SIGKILL
        return
    try:
        original, left = getattr(owner, name), [calls]

        def counted(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if not left[0] and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*arguments, **named)
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, counted)
        run()
    finally:
        os._exit(1)


RESTORING: dict[str, tuple[Any, str, int, bool]] = {
    "the key store is there and empty": (restoring_keys, "fill", 1, False),
    "one table of the key store is filled": (restoring_keys, "fill", 1, True),
    "the tail is appended": (restoring, "append_tail", 1, True),
    "keys are destroyed": (KeyTarget, "erase", 1, True),
    "the key store is finished": (KeyTarget, "done", 1, True),
    "all is verified and committed": (Staging, "ready", 1, False),
    "all is ready": (Staging, "ready", 1, True),
    "the key store is nobody's": (Staging, "finish", 1, False),
    # After it is ready, which takes two: a file is moved.
    "one file is in place": (place, "sync_directory", 3, True),
    "all files are in place": (shutil, "rmtree", 1, False),
}


@pytest.mark.parametrize("point", RESTORING)
def test_a_restore_that_is_killed_is_run_again(world: World, tmp_path: Path, point: str) -> None:
    data = world.lost(tmp_path / "data")
    request = world.request(data, 1, 1)
    owner, name, calls, after = RESTORING[point]
    killed(lambda: restore(request), owner, name, calls, after=after)
    with pytest.raises(ConfigurationError):
        config.load(data)
    done = restore(request)
    assert (done.size, done.destroyed) == (world.sizes[2], 2)
    assert not list(data.glob("restore.*"))
    left = {failure.reason.split(",")[0] for failure in check(config.load(data)).failures}
    assert left == {"its sealed fields were lost with a restore"}


COMMITTING = ("append_tail", "ready")


@pytest.mark.parametrize("keys_on", ["postgresql", "sqlite"])
@pytest.mark.parametrize("point", COMMITTING)
@pytest.mark.parametrize("expiring", ["postgresql"], indirect=True, scope="session")
def test_with_the_first_tombstones_too(
    expiring: ExpiringWorld, tmp_path: Path, keys_on: str, point: str
) -> None:
    """Their key is made by the restore itself: another attempt must not make another, once the
    event store that names it is committed."""
    data = expiring.lost(tmp_path / "data")
    request = expiring.request(data, 0, 0)
    if keys_on == "sqlite":
        request = replace(request, key_database=None)
    owner: Any = Staging if point == "ready" else restoring
    killed(lambda: restore(request), owner, point, 1, after=point != "ready")
    assert restore(request).expired == len(expiring.positions)
    directory = config.load(data)
    assert stored_of(expiring, directory.database) == []
    left = {failure.reason.split(",")[0] for failure in check(directory).failures}
    assert left == {"its sealed fields were lost with a restore"}


@pytest.mark.parametrize("world", ["postgresql"], indirect=True, scope="session")
def test_what_is_refused_leaves_its_databases_to_another(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    shutil.copy(world.guard(1), data / "keys" / "guard")
    request = world.request(data, 1, 3, tail=False)
    with pytest.raises(IntegrityAlarm, match="rolled back"):
        restore(request)
    again = replace(request, archive=world.events(3))
    assert restore(again).size == world.sizes[2]


@pytest.mark.parametrize("world", ["postgresql"], indirect=True, scope="session")
def test_another_restore_does_not_take_over_its_key_database(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    request = world.request(data, 1, 1)
    killed(lambda: restore(request), restoring_keys, "fill", 1, after=True)
    with pytest.raises(ConfigurationError, match="interrupted in the key database"):
        restore(replace(request, keys_archive=world.keys(3)))
    assert restore(request).size == world.sizes[2]


def test_the_event_store_is_put_in_place_last(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []
    data = world.lost(tmp_path / "data")
    rename = Path.rename

    def noted(path: Path, target: Path) -> Path:
        moved.append(path.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", noted)
    restore(world.request(data, 3, 3))
    files = ["policy", "ledger.toml"]
    if world.make_database is None:
        files = ["keys.sqlite", *files, "ledger.sqlite"]
    assert moved == [place.PARTIAL, *files]


@SQLITE
def test_another_restore_does_not_finish_it(world: World, tmp_path: Path) -> None:
    data = world.lost(tmp_path / "data")
    request = world.request(data, 1, 1)
    killed(lambda: restore(request), Staging, "finish", 1, after=False)
    other = Request(
        data,
        world.events(3),
        world.keys(3),
        database=request.database,
        key_database=request.key_database,
    )
    with pytest.raises(ConfigurationError, match="from another backup"):
        restore(other)
    assert restore(request).size == world.sizes[2]


BACKING_UP: dict[str, tuple[str, int, bool]] = {
    "half a part is written": ("add", 4, False),
    "one of two archives is whole": ("finish", 1, True),
    "both archives are whole": ("keep", 1, False),
}


@SQLITE
@pytest.mark.parametrize("point", BACKING_UP)
def test_a_backup_that_is_killed_is_run_again(world: World, tmp_path: Path, point: str) -> None:
    to, keys_to = tmp_path / "events", tmp_path / "keys"
    name, calls, after = BACKING_UP[point]

    def run() -> None:
        back_up(world.directory.path, to, keys_to)

    killed(run, ArchiveWriter, name, calls, after=after)
    assert not to.exists()
    assert not keys_to.exists()
    run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events", "keys"]


@SQLITE
def test_a_backup_killed_between_its_two_files_says_so(world: World, tmp_path: Path) -> None:
    to, keys_to = tmp_path / "events", tmp_path / "keys"

    def run() -> None:
        back_up(world.directory.path, to, keys_to)

    killed(run, ArchiveWriter, "keep", 1, after=True)
    assert not to.exists()
    with pytest.raises(ConfigurationError, match="keys exists already"):
        run()
    keys_to.unlink()
    run()
    assert to.exists()
