"""The wrapping key of a ledger that is being served: slow keepers, and rotations in the log."""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from ledger import application, rotations
from ledger.access import Role
from ledger.application import Ledger
from ledger.cli import cli
from ledger.config import DataDirectory, load
from ledger.database import open_database
from ledger.errors import Expired, ReservedType, VaultUnavailable
from ledger.expiring import Expirer
from ledger.fsck import check
from ledger.initialise import initialise, join
from ledger.log.client import WriterClient
from ledger.rotations import ROTATED, RotationRecorder
from ledger.store import open_store
from ledger.vault import registry
from ledger.vault.keepers import open_wrapper
from ledger.vault.keystore import KeyStore
from ledger.vault.threads import VAULT_THREADS
from ledger.vault.wrapper import KeyFiles, WrappingKey
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import StreamRef, decode
from ledger_verifier.formats.tiles import Tile
from tests.conftest import MakeDatabase
from tests.ledger.acts import LEWISHAM, act, credential, identified
from tests.ledger.vault.conftest import VAULT_TOKEN
from tests.ledger.vault.transit_server import TransitKey, TransitServer

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest.fixture(params=["sqlite", "postgresql"])
def everywhere(request: pytest.FixtureRequest, tmp_path: Path) -> DataDirectory:
    """A new ledger, event store and key store both on each database."""
    database = key_database = None
    if request.param == "postgresql":
        make: MakeDatabase = request.getfixturevalue("postgres")
        database, key_database = make(), make()
    return initialise(
        tmp_path / "data", database=database, key_database=key_database, publish_seconds=0.05
    )


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def rotations_in(directory: DataDirectory) -> list[dict[str, Any]]:
    with closing(open_store(directory.database)) as store:
        return [decode(one.raw) for one in store.entries(0, 1000, [ROTATED])]


def registered(directory: DataDirectory) -> list[registry.Registered]:
    with (
        closing(open_database(directory.key_database)) as database,
        database.transaction() as rows,
    ):
        return registry.select_all(rows)


async def until_recorded(ledger: Ledger, count: int) -> None:
    """Wait until the log holds that many rotations."""
    async with asyncio.timeout(60):
        found: list[Any] = []
        while len(found) < count:
            found, _, _ = await ledger.feed(DPO, types=frozenset({ROTATED}), limit=100)
            await asyncio.sleep(0)


async def test_a_rotation_while_the_ledger_is_served_is_an_entry(
    everywhere: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotations, "_LOOK_SECONDS", 0.02)
    data = str(everywhere.path)
    people = [identified() for _ in range(3)]
    async with Ledger.open(everywhere.path) as ledger:
        before = await ledger.record(ANY, people)
        said = await asyncio.to_thread(run, "rotate-wrapping-key", "--data", data)
        assert "Wrapped 3 keys" in said
        after = await ledger.record(ANY, [identified()])
        await until_recorded(ledger, 1)
        (everywhere.keys_path / "wrapping.key").unlink()
        for one in (*before, *after):
            assert await ledger.sealed(DPO, one.position, ACTOR, "inspection")
    (entry,) = rotations_in(everywhere)
    old, new = registered(everywhere)
    assert entry["data"] == {
        "_sd": [],
        "wrapping_key": new.ref,
        "keeper": "file",
        "replaces": old.ref,
        "replaced_keeper": "file",
        "began_at": entry["data"]["began_at"],
    }
    assert entry["stream"]["kind"] == "ledger"
    assert (entry["source"], entry["actor"], entry["submitted_by"]) == ("hub-ledger", None, None)
    assert entry["data"]["began_at"] <= entry["occurred_at"] <= entry["recorded_at"]
    assert check(everywhere).verdict is Verdict.VERIFIED
    # What a restart finds, without the old key.
    async with Ledger.open(everywhere.path) as ledger:
        (again,) = await ledger.record(ANY, [people[0]])
        assert not again.created
        assert await ledger.sealed(DPO, again.position, ACTOR, "inspection")
    assert len(rotations_in(everywhere)) == 1


async def test_a_rotation_while_nobody_serves_is_recorded_at_the_next_start(
    everywhere: DataDirectory,
) -> None:
    for _ in range(2):
        run("rotate-wrapping-key", "--data", str(everywhere.path))
    assert rotations_in(everywhere) == []
    async with Ledger.open(everywhere.path) as ledger:
        await until_recorded(ledger, 2)
    found = [entry["data"]["wrapping_key"] for entry in rotations_in(everywhere)]
    assert found == [one.ref for one in registered(everywhere)[1:]]


async def test_a_rotation_is_recorded_once_whoever_dies_in_between(
    everywhere: DataDirectory,
) -> None:
    class Dying(KeyStore):
        def mark_rotation_recorded(self, rotation: registry.Registered) -> None:
            raise OSError("the entry is in the log, and the key store does not know")

    run("rotate-wrapping-key", "--data", str(everywhere.path))
    wrapper = open_wrapper(everywhere)
    with (
        closing(open_store(everywhere.database)) as store,
        closing(open_database(everywhere.key_database)) as database,
    ):
        writer = await WriterClient.start(everywhere.path)
        try:
            with pytest.raises(OSError, match="does not know"):
                await RotationRecorder(store, Dying(database, wrapper), writer).record()
            whole = RotationRecorder(store, KeyStore(database, wrapper), writer)
            assert await whole.record() == 1
            assert await whole.record() == 0
        finally:
            await writer.stop()
    assert len(rotations_in(everywhere)) == 1
    assert check(everywhere).verdict is Verdict.VERIFIED


async def test_nobody_but_the_service_records_a_rotation(sqlite_directory: DataDirectory) -> None:
    async with Ledger.open(sqlite_directory.path) as ledger:
        with pytest.raises(ReservedType):
            await ledger.record(DPO, [act(ROTATED)])


class Gate(KeyFiles):
    """Key files that answer when they are let; `full` is set once all threads that may ask wait."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(folder)
        self.open = threading.Event()
        self.open.set()
        self.full, self.asked_first = asyncio.Event(), asyncio.Event()
        self._loop, self._lock, self._waiting = loop, threading.Lock(), 0
        self.asked = 0

    def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
        with self._lock:
            self.asked += 1
            self._waiting += not self.open.is_set()
            if self._waiting == 1:
                self._loop.call_soon_threadsafe(self.asked_first.set)
            if self._waiting == VAULT_THREADS:
                self._loop.call_soon_threadsafe(self.full.set)
        assert self.open.wait(60)
        return super().unwrap(under, wrapped)


async def test_a_slow_keeper_delays_nobody_who_does_not_need_it(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(sqlite_directory.keys_path, asyncio.get_running_loop())
    monkeypatch.setattr(application, "open_wrapper", lambda _: gate)
    person, other = identified(), identified()
    async with Ledger.open(sqlite_directory.path) as ledger, asyncio.timeout(60):
        first, second = await ledger.record(ANY, [person, other])
        # The reading of a case is recorded under keys of its own, which are there from here on.
        await ledger.sealed(DPO, first.position, ACTOR, "inspection")
        case = person.stream
        gate.open.clear()
        readings: list[asyncio.Task[Any]] = []
        for _ in range(VAULT_THREADS):
            for reading in (
                ledger.sealed(DPO, first.position, ACTOR, "inspection"),
                ledger.bundle(DPO, case, actor=ACTOR, purpose="inspection"),
                ledger.bundle(DPO, case, "subject", actor=ACTOR, purpose="rights-request"),
            ):
                readings.append(asyncio.create_task(reading))
        try:
            await gate.full.wait()
            # Everything that needs no key from its keeper goes on.
            assert await ledger.authenticate("nobody's") is None
            assert await ledger.entry(DPO, second.position, ACTOR)
            assert await ledger.feed(DPO)
            await ledger.record(ANY, [identified(other.stream)])
            await ledger.record(ANY, [identified()])
            (erased,) = await ledger.record(DPO, [act("erasure.executed", other.stream)])
            assert erased.created
            assert await ledger.receipt(DPO, second.position)
            # It opens nothing.
            assert await ledger.bundle(DPO, case, actor=ACTOR)
            assert not any(reading.done() for reading in readings)
        finally:
            gate.open.set()
        assert all(await asyncio.gather(*readings))


async def test_a_slow_keeper_of_what_expired_delays_nobody_who_does_not_need_it(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = datetime.now(UTC) + timedelta(days=4000)
    monkeypatch.setattr(Expirer, "now", lambda _: later)
    gone = identified(StreamRef("case", str(uuid4())))
    async with Ledger.open(sqlite_directory.path) as ledger:
        await ledger.record(ANY, [gone, act("case.closed", gone.stream), act("policy.adopted")])
        await ledger.record(DPO, [act("expiry.ordered")])
        (other,) = await ledger.record(ANY, [identified()])
    gate = Gate(sqlite_directory.keys_path, asyncio.get_running_loop())
    monkeypatch.setattr(application, "open_wrapper", lambda _: gate)
    async with Ledger.open(sqlite_directory.path) as ledger, asyncio.timeout(60):
        gate.open.clear()
        gate.asked = 0
        # It was had at the start: to look for a stream asks no keeper.
        assert await ledger.receipt(DPO, other.position)
        assert gate.asked == 0
        # As where another replica was the first to let something expire.
        ledger._tombstones._known.clear()
        # As many as there may be threads, and more: each has to know whether the case has expired.
        asking: list[asyncio.Task[Any]] = [
            asyncio.create_task(ledger.case(DPO, gone.stream.id, ACTOR, None)) for _ in range(40)
        ]
        asking.append(asyncio.create_task(ledger.record(ANY, [gone])))
        try:
            await gate.asked_first.wait()
            for _ in range(3):
                assert await ledger.tile(Tile(0, 0, other.position + 1))
                assert await ledger.authenticate("nobody's") is None
                assert await ledger.checkpoint()
                assert await ledger.due(DPO, LEWISHAM, "lewisham-council")
            assert not any(one.done() for one in asking)
            assert gate.asked == 1
        finally:
            gate.open.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(one) for one in found} == {Expired}
        assert gate.asked == 1


async def test_the_keys_of_a_whole_case_are_asked_for_together(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(sqlite_directory.keys_path, asyncio.get_running_loop())
    monkeypatch.setattr(application, "open_wrapper", lambda _: gate)
    person = identified()
    acts = [person, *(act("data.disclosed", person.stream) for _ in range(5))]
    async with Ledger.open(sqlite_directory.path) as ledger:
        recorded = await ledger.record(ANY, acts)
        gate.asked = 0
        assert await ledger.bundle(DPO, person.stream, actor=ACTOR, purpose="inspection")
        assert gate.asked == 1
        assert not (await ledger.record(ANY, acts))[-1].created
        assert len(recorded) == len(acts)
        assert gate.asked == 2


async def test_a_wrapping_key_that_is_gone_at_a_start(sqlite_directory: DataDirectory) -> None:
    (sqlite_directory.keys_path / "wrapping.key").unlink()
    with pytest.raises(VaultUnavailable, match="Put it back"):
        async with Ledger.open(sqlite_directory.path):
            pass


async def test_from_files_to_vault_while_the_ledger_is_served(
    sqlite_directory: DataDirectory,
    transit: TransitServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(rotations, "_LOOK_SECONDS", 0.02)
    monkeypatch.setenv("VAULT_TOKEN", VAULT_TOKEN)
    transit.keys["serving"] = TransitKey()
    data = str(sqlite_directory.path)
    async with Ledger.open(sqlite_directory.path) as ledger:
        (before,) = await ledger.record(ANY, [identified()])
        with (sqlite_directory.path / "ledger.toml").open("a") as file:
            file.write('[wrapping]\nkeeper = "vault"\n')
            file.write(f'[wrapping.vault]\naddress = "{transit.address}"\nkey = "serving"\n')
        await asyncio.to_thread(run, "rotate-wrapping-key", "--data", data)
        (sqlite_directory.keys_path / "wrapping.key").unlink()
        # The process that began with key files finds the settings when it meets such a key.
        person = identified()
        (after,) = await ledger.record(ANY, [person])
        for one in (before, after):
            assert await ledger.sealed(DPO, one.position, ACTOR, "inspection")
        await until_recorded(ledger, 1)
        transit.sealed = True
        try:
            with pytest.raises(VaultUnavailable):
                await ledger.sealed(DPO, before.position, ACTOR, "inspection")
            with pytest.raises(VaultUnavailable):
                await ledger.record(ANY, [identified()])
            # What is sealed under a key in use goes on, and so does all that opens nothing.
            await ledger.record(ANY, [act("case.closed", person.stream)])
            assert await ledger.entry(DPO, before.position, ACTOR)
        finally:
            transit.sealed = False
        assert await ledger.sealed(DPO, before.position, ACTOR, "inspection")
    assert check(sqlite_directory).verdict is Verdict.VERIFIED
    (entry,) = rotations_in(sqlite_directory)
    assert (entry["data"]["keeper"], entry["data"]["replaced_keeper"]) == ("vault", "file")
    assert "serving" not in str(entry)
    assert transit.address not in str(entry)


def test_the_command_goes_on_where_it_was_and_says_so(sqlite_directory: DataDirectory) -> None:
    data = str(sqlite_directory.path)
    said = run("rotate-wrapping-key", "--data", data, "--prepare")
    assert "not in use yet" in said
    assert (sqlite_directory.keys_path / "wrapping-2.key").stat().st_mode & 0o077 == 0
    assert len(registered(sqlite_directory)) == 1
    assert "Wrapped 0 keys" in run("rotate-wrapping-key", "--data", data)
    with (
        closing(open_database(sqlite_directory.key_database)) as database,
        database.transaction() as rows,
    ):
        rows.execute("UPDATE wrapping_keys SET completed = NULL WHERE number = 2")
    said = run("rotate-wrapping-key", "--data", data)
    assert "Going on" in said
    assert len(registered(sqlite_directory)) == 2
    Path(sqlite_directory.key_database).unlink()
    done = CliRunner().invoke(cli, ["rotate-wrapping-key", "--data", data])
    assert done.exit_code == 1
    assert "key store is missing" in done.output
    assert not Path(sqlite_directory.key_database).exists()


def test_a_replica_has_every_key_file_and_the_settings_of_keepers(
    tmp_path: Path, postgres: MakeDatabase
) -> None:
    first = initialise(tmp_path / "one", database=postgres(), key_database=postgres())
    run("rotate-wrapping-key", "--data", str(first.path))
    table = '[wrapping]\nkeeper = "file"\n\n[wrapping.vault]\naddress = "https://v.example"\n'
    with (first.path / "ledger.toml").open("a") as file:
        file.write(table + 'key = "k"\n')
    second = join(tmp_path / "two", first.path)
    for name in ("wrapping.key", "wrapping-2.key"):
        assert (second.keys_path / name).read_bytes() == (first.keys_path / name).read_bytes()
    assert (second.path / "ledger.toml").read_text() == (first.path / "ledger.toml").read_text()
    assert load(second.path).key_database == first.key_database
    (first.keys_path / "wrapping-2.key").unlink()
    with pytest.raises(VaultUnavailable):
        join(tmp_path / "three", first.path)
    assert not (tmp_path / "three").exists()
