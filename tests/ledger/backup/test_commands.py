"""The commands: what they say, and how they refuse."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger.backup import commands, make
from ledger.backup.make import back_up
from ledger.cli import cli
from ledger.config import DataDirectory
from ledger.errors import ConfigurationError
from tests.ledger.backup.expiring_world import MANY, ExpiringWorld
from tests.ledger.backup.world import SQLITE, World


def run(name: str, *arguments: object) -> Result:
    command = getattr(commands, name, None) or cli.commands[name]
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_an_archive_past_its_day_is_to_be_destroyed(
    sqlite_directory: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, events, keys = sqlite_directory.path, tmp_path / "events", tmp_path / "keys"
    monkeypatch.setattr(make, "instant", lambda _: "2026-01-31T10:00:00.000Z")
    made = run("backup", "--data", data, "--to", events, "--keys-to", keys)
    assert made.exit_code == 0, made.output
    assert f"Destroy {events} by 2027-01-31." in made.output
    assert f"Destroy {keys} by 2026-03-02." in made.output
    again = ("restore", "--data", data, "--from", events, "--keys-from", keys)
    refused = run(*again)
    assert refused.exit_code == 1
    assert "--replace" in refused.output
    done = run(*again, "--replace")
    assert done.exit_code == 0, done.output
    assert f"is now {data / 'replaced-1' / 'ledger.sqlite'}" in done.output
    assert "The backup of the key store should have been destroyed by 2026-03-02." in done.output


@SQLITE
def test_succeed_says_what_is_lost(world: World, tmp_path: Path) -> None:
    old = world.lost(tmp_path / "old")
    for name in ("policy", "ledger.toml"):
        shutil.copy(world.directory.path / name, old / name)
    command = ("succeed", "--data", tmp_path / "new", "--old", old, "--origin")
    assert run(*command, world.directory.origin).exit_code == 1
    done = run(*command, "hub-ledger.example/second")
    assert done.exit_code == 0, done.output
    assert f"Of {world.sizes[2]} entries of the old log, {world.sizes[2]} are lost" in done.output
    assert run("policy", "--data", tmp_path / "new").output.startswith("log hub-ledger.example/sec")


def test_a_restore_says_what_it_left_away(expiring: ExpiringWorld, tmp_path: Path) -> None:
    data = expiring.lost(tmp_path / "data")
    request = expiring.request(data, 1, 1)
    databases: tuple[object, ...] = ()
    if request.database is not None:
        databases = ("--database", request.database, "--key-database", request.key_database)
    given = ("--from", request.archive, "--keys-from", request.keys_archive, "--tail", request.tail)
    done = run("restore", "--data", data, *given, *databases)
    assert done.exit_code == 0, done.output
    assert f"expired since the backup, and are not brought back: {MANY + 9}." in done.output
    assert f"Of {MANY + 5} expired entries only the positions are known" in done.output
    # Deleted rows are left in the files of one of the databases alone.
    assert ("entries: rewritten." in done.output) is (request.database is not None)
    assert "Not done" not in done.output


def test_a_backup_is_not_made_in_the_data_directory(world: World) -> None:
    """An erasure could not look into it, and it would be lost with what it is a backup of."""
    for to, keys_to in (("events.backup", None), ("../events.backup", "keys/keys.backup")):
        path = world.directory.path
        with pytest.raises(ConfigurationError, match="is in the data directory"):
            back_up(path, path / to, None if keys_to is None else path / keys_to)
        assert not (path / to).exists()
