"""`hub-ledger init --join`: one more replica of a ledger, or nothing at all."""

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from ledger.access import Role
from ledger.application import Ledger
from ledger.cli import cli
from ledger.config import DataDirectory
from ledger.errors import ConfigurationError, IntegrityAlarm
from ledger.initialise import initialise, join
from ledger.log.guard import Guard
from ledger.log.sequencer import sign_checkpoint
from ledger.store import open_store
from tests.conftest import MakeDatabase
from tests.ledger.acts import credential, identified

ANY = credential(Role.DPO)


async def test_a_replica_goes_on_where_the_other_was(first: DataDirectory, tmp_path: Path) -> None:
    person = identified()
    async with Ledger.open(first.path) as ledger:
        (recorded,) = await ledger.record(ANY, [person])
    joined = join(tmp_path / "second", first.path)
    assert joined.signing_keys().ed25519.private_text == first.signing_keys().ed25519.private_text
    assert joined.policy() == first.policy()
    async with Ledger.open(joined.path) as ledger:
        (again,) = await ledger.record(ANY, [person])
        assert (again.position, again.created) == (recorded.position, False)
        assert await ledger.sealed(ANY, recorded.position, person.actor, "review")


async def test_its_guard_remembers_the_head_that_it_joined(
    first: DataDirectory, tmp_path: Path
) -> None:
    async with Ledger.open(first.path) as ledger:
        await ledger.record(ANY, [identified()])
    joined = join(tmp_path / "second", first.path)
    with closing(open_store(first.database)) as store, closing(Guard(joined.guard_path)) as guard:
        head = store.head()
        assert head is not None
        assert guard.checkpoint == head.checkpoint


def test_everything_in_it_is_its_owners_alone(second: DataDirectory) -> None:
    for path in [second.path, *second.path.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_directory_it_joins_is_left_as_it_was(first: DataDirectory, tmp_path: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()}

    before = content()
    join(tmp_path / "second", first.path)
    assert content() == before


def test_a_log_that_lost_entries_is_not_joined(first: DataDirectory, tmp_path: Path) -> None:
    signer = first.signing_keys().ed25519
    with closing(Guard(first.guard_path)) as guard:
        guard.write(sign_checkpoint(signer, first.origin, 1_000_000, bytes(32)))
    with pytest.raises(IntegrityAlarm, match="lost entries"):
        join(tmp_path / "second", first.path)
    assert not (tmp_path / "second").exists()


def test_a_ledger_is_never_overwritten(
    first: DataDirectory, second: DataDirectory, tmp_path: Path
) -> None:
    before = second.guard_path.read_bytes()
    with pytest.raises(ConfigurationError, match="already"):
        join(second.path, first.path)
    assert second.guard_path.read_bytes() == before


@pytest.mark.parametrize("shared", [False, True], ids=["embedded", "keys embedded"])
def test_only_shared_databases_are_joined(
    tmp_path: Path, postgres: MakeDatabase, shared: bool
) -> None:
    source = initialise(tmp_path / "first", database=postgres() if shared else None)
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        join(tmp_path / "second", source.path)
    assert not (tmp_path / "second").exists()


def test_the_command(first: DataDirectory, tmp_path: Path) -> None:
    command = ["init", "--data", str(tmp_path / "second"), "--join", str(first.path)]
    refused = CliRunner().invoke(cli, [*command, "--origin", "example.org/other"])
    assert refused.exit_code == 2
    assert "--origin" in refused.output
    made = CliRunner().invoke(cli, command)
    assert made.exit_code == 0, made.output
    assert "replica" in made.output
    again = CliRunner().invoke(cli, command)
    assert again.exit_code == 1
    assert "already" in again.output
