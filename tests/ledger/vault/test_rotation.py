"""Rotation of the wrapping key: every key survives it, whenever it is killed and whatever happens
beside it, and none comes back."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.database import Database, open_database
from ledger.errors import ConfigurationError, IntegrityAlarm, VaultUnavailable
from ledger.vault import registry
from ledger.vault.keystore import KeyStore, StreamKey
from ledger.vault.registry import Registered
from ledger.vault.rotation import Rotation
from ledger.vault.wrapper import KeyFiles, KeyWrapper, WrappingKey
from tests.conftest import MakeDatabase
from tests.faults.injection import Broken, Fault, When, faulty_database
from tests.ledger.vault.conftest import Kept

BATCH = 4
KEYS = 10


@dataclass
class Store:
    """A key store with keys in it, and the key files it is wrapped under."""

    location: str
    folder: Path
    database: Database
    keys: dict[StreamKey, tuple[str, bytes]]

    def fresh(self) -> KeyStore:
        """The key store as another process sees it."""
        return KeyStore(self.database, KeyFiles(self.folder))

    def rotation(self) -> Rotation:
        return Rotation(self.database, KeyFiles(self.folder), BATCH)

    def mint(self, count: int = 1) -> list[StreamKey]:
        wanted: list[StreamKey] = [(f"case/{uuid4()}", "subject") for _ in range(count)]
        self.keys.update(self.fresh().keys_for(wanted))
        return wanted

    def under(self) -> set[bytes]:
        """References that stand before stored keys."""
        with self.database.transaction() as rows:
            rows.execute("SELECT wrapped FROM stream_keys")
            return {bytes(raw)[: registry.REF_BYTES] for (raw,) in rows.fetchall()}

    def registered(self) -> list[Registered]:
        with self.database.transaction() as rows:
            return registry.select_all(rows)

    def assert_whole(self) -> None:
        """Every key opens, and is the key that it was."""
        assert self.fresh().keys_for(list(self.keys)) == self.keys
        by_id = dict(self.keys.values())
        assert self.fresh().keys(by_id) == by_id

    def assert_rotated(self) -> None:
        """Every key opens under the newest wrapping key alone."""
        newest = self.registered()[-1]
        assert newest.completed is not None
        assert self.under() <= {newest.prefix}
        self.assert_whole()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    location = str(tmp_path / "keys.sqlite")
    if request.param == "postgresql":
        make: MakeDatabase = request.getfixturevalue("postgres")
        location = make()
    folder = tmp_path / "keys"
    folder.mkdir()
    KeyFiles(folder).prepare(0)
    with closing(open_database(location)) as database:
        KeyStore(database, KeyFiles(folder)).create()
        made = Store(location, folder, database, {})
        made.mint(KEYS)
        yield made


def silent(done: int, of: int) -> None:
    """Progress that nobody looks at."""


def rotate(rotation: Rotation) -> int:
    return rotation.run(rotation.begin()[0], silent)


def test_every_key_is_wrapped_anew(store: Store) -> None:
    told: list[tuple[int, int]] = []
    rotation = store.rotation()
    newest, goes_on = rotation.begin()
    assert not goes_on
    assert rotation.run(newest, lambda done, of: told.append((done, of))) == KEYS
    assert told == [(4, KEYS), (8, KEYS), (10, KEYS)]
    store.assert_rotated()
    # The old key can go.
    (store.folder / "wrapping.key").unlink()
    store.assert_whole()
    store.mint()
    assert rotate(store.rotation()) == KEYS + 1
    assert [one.key.version for one in store.registered()] == [1, 2, 3]
    store.assert_rotated()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_nothing_is_left_of_what_was_wrapped_under_the_old_key(store: Store) -> None:
    def in_files(wrapped: list[bytes]) -> int:
        folder = Path(store.location).parent
        content = b"".join(file.read_bytes() for file in folder.glob("keys.sqlite*"))
        return sum(raw in content for raw in wrapped)

    with store.database.transaction() as rows:
        rows.execute("SELECT wrapped FROM stream_keys")
        old = [bytes(raw) for (raw,) in rows.fetchall()]
    assert in_files(old) == KEYS
    rotate(store.rotation())
    assert in_files(old) == 0


def test_a_wrapping_key_that_was_prepared_is_used_for_nothing_before(store: Store) -> None:
    prepared = store.rotation().prepare()
    assert store.rotation().prepare() == prepared
    store.mint()
    assert store.under() == {store.registered()[0].prefix}
    rotate(store.rotation())
    assert store.registered()[-1].key == prepared
    store.assert_rotated()


def test_keys_made_from_then_on_are_under_the_new_one(store: Store) -> None:
    serving = store.fresh()
    wanted: list[StreamKey] = [(f"case/{uuid4()}", "subject")]
    serving.keys_for([next(iter(store.keys))])
    newest, _ = store.rotation().begin()
    store.keys.update(serving.keys_for(wanted))
    key_id, _ = store.keys[wanted[0]]
    with store.database.transaction() as rows:
        rows.execute("SELECT wrapped FROM stream_keys WHERE key_id = ?", (key_id,))
        row = rows.fetchone()
    assert row is not None
    assert bytes(row[0])[: registry.REF_BYTES] == newest.prefix
    assert store.rotation().run(newest, silent) == KEYS
    store.assert_rotated()


class Meanwhile(KeyFiles):
    """Key files under which something happens while a keeper is asked."""

    def __init__(self, folder: Path, verb: str, act: Callable[[], object]) -> None:
        super().__init__(folder)
        self._verb, self._act, self._acted = verb, act, False

    def _once(self, verb: str) -> None:
        if verb == self._verb and not self._acted:
            self._acted = True
            self._act()

    def wrap(self, under: WrappingKey, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        wrapped = super().wrap(under, keys)
        self._once("wrap")
        return wrapped

    def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
        self._once("unwrap")
        return super().unwrap(under, wrapped)


def test_a_key_wrapped_just_before_a_rotation_is_not_left_behind(store: Store) -> None:
    # It was wrapped under the old key, and the rotation was over before it was inserted.
    slow = Meanwhile(store.folder, "wrap", lambda: rotate(store.rotation()))
    wanted: list[StreamKey] = [(f"case/{uuid4()}", "attribution")]
    store.keys.update(KeyStore(store.database, slow).keys_for(wanted))
    store.assert_rotated()


def test_a_key_read_just_before_its_wrapping_key_is_destroyed_still_opens(store: Store) -> None:
    def replace() -> None:
        rotate(store.rotation())
        (store.folder / "wrapping.key").unlink()

    slow = KeyStore(store.database, Meanwhile(store.folder, "unwrap", replace))
    by_id = dict(store.keys.values())
    assert slow.keys(by_id) == by_id


@pytest.mark.parametrize("verb", ["unwrap", "wrap"])
def test_a_key_destroyed_meanwhile_does_not_come_back(store: Store, verb: str) -> None:
    (stream, key_class), (key_id, _) = next(iter(store.keys.items()))

    def destroy() -> None:
        store.fresh().destroy([(key_id, stream, False)], through=20)

    newest, _ = store.rotation().begin()
    slow = Rotation(store.database, Meanwhile(store.folder, verb, destroy), BATCH)
    slow.run(newest, silent)
    assert store.fresh().keys([key_id]) == {}
    del store.keys[(stream, key_class)]
    store.assert_rotated()
    assert store.fresh().applied_through() == 20


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "step",
    [
        "keys insert wrapping_keys",
        "commit of keys insert wrapping_keys",
        "keys update stream_keys",
        "commit of keys update stream_keys",
        "keys update wrapping_keys",
        "commit of keys update wrapping_keys",
    ],
)
def test_a_rotation_killed_at_any_step_goes_on(store: Store, step: str, when: When) -> None:
    fault = Fault()
    with closing(faulty_database(store.location, fault)) as faulty:
        fault.arm(step, when)
        with pytest.raises(Broken):
            rotate(Rotation(faulty, KeyFiles(store.folder), BATCH))
        assert fault.fired
    # In between the ledger is served as ever.
    store.assert_whole()
    store.mint(2)
    if (step, when) == ("commit of keys update wrapping_keys", "after"):
        store.assert_rotated()
        return
    newest, goes_on = store.rotation().begin()
    assert goes_on is not ("insert" in step and (step, when) != (f"commit of {step[10:]}", "after"))
    store.rotation().run(newest, silent)
    store.assert_rotated()
    # One wrapping key was made, however often it was begun.
    assert [one.key.version for one in store.registered()] == [1, 2]


def test_a_keeper_that_stops_answering_stops_the_rotation_and_nothing_else(store: Store) -> None:
    def gone() -> None:
        raise VaultUnavailable("it is gone")

    newest, _ = store.rotation().begin()
    slow = Meanwhile(store.folder, "unwrap", gone)
    with pytest.raises(VaultUnavailable, match="gone"):
        Rotation(store.database, slow, BATCH).run(newest, silent)
    assert store.registered()[-1].completed is None
    store.assert_whole()
    store.rotation().run(newest, silent)
    store.assert_rotated()


def test_keys_that_do_not_open_are_left_and_said(store: Store) -> None:
    (lost, (key_id, _)) = list(store.keys.items())[3]
    with store.database.transaction() as rows:
        rows.execute("SELECT wrapped FROM stream_keys WHERE key_id = ?", (key_id,))
        row = rows.fetchone()
        assert row is not None
        broken = bytes(row[0])[:-1] + b"\x00\x00"
        rows.execute("UPDATE stream_keys SET wrapped = ? WHERE key_id = ?", (broken, key_id))
    rotation = store.rotation()
    newest, _ = rotation.begin()
    with pytest.raises(IntegrityAlarm, match=r"1 stored keys do not open.*Keep the old"):
        rotation.run(newest, silent)
    assert store.registered()[-1].completed is None
    del store.keys[lost]
    store.assert_whole()
    store.fresh().destroy([(key_id, lost[0], False)], through=1)
    assert store.rotation().begin() == (newest, True)
    assert store.rotation().run(newest, silent) == 0
    store.assert_rotated()


def test_a_wrapping_key_that_gives_back_something_else_is_not_used(store: Store) -> None:
    class Liar(KeyFiles):
        def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
            if under.version == 1:
                return super().unwrap(under, wrapped)
            return {key_id: os.urandom(32) for key_id in wrapped}

    with pytest.raises(VaultUnavailable, match="does not give back"):
        Rotation(store.database, Liar(store.folder), BATCH).begin()
    newest, _ = store.rotation().begin()
    with pytest.raises(VaultUnavailable, match="does not give back"):
        Rotation(store.database, Liar(store.folder), BATCH).run(newest, silent)
    assert store.under() == {store.registered()[0].prefix}


def test_a_second_rotation_waits_for_the_first(store: Store) -> None:
    began: list[Registered] = []

    class Two(KeyFiles):
        def rotate(self, after: WrappingKey) -> WrappingKey:
            key = super().rotate(after)
            if not began:
                began.append(store.rotation().begin()[0])
            return key

    with pytest.raises(ConfigurationError, match="Another rotation"):
        Rotation(store.database, Two(store.folder), BATCH).begin()
    assert store.rotation().begin() == (began[0], True)


class Both:
    """Key files, and another keeper."""

    def __init__(self, files: KeyWrapper, other: KeyWrapper) -> None:
        self._keepers = {"file": files}
        self._other = other

    def newest(self) -> WrappingKey:
        return self._other.newest()

    def rotate(self, after: WrappingKey) -> WrappingKey:
        return self._other.rotate(after)

    def wrap(self, under: WrappingKey, keys: Mapping[str, bytes]) -> dict[str, bytes]:
        return self._keepers.get(under.keeper, self._other).wrap(under, keys)

    def unwrap(self, under: WrappingKey, wrapped: Mapping[str, bytes]) -> dict[str, bytes]:
        return self._keepers.get(under.keeper, self._other).unwrap(under, wrapped)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_keys_move_from_files_to_any_keeper_and_through_its_own_rotation(
    store: Store, kept: Kept
) -> None:
    if kept.name == "file":
        return  # From files to files is every other test.
    first = Both(KeyFiles(store.folder), kept.wrapper)
    assert rotate(Rotation(store.database, first, BATCH)) == KEYS
    (store.folder / "wrapping.key").unlink()
    again = Both(KeyFiles(store.folder), kept.next())
    by_id = dict(store.keys.values())
    assert KeyStore(store.database, again).keys(by_id) == by_id
    assert rotate(Rotation(store.database, again, BATCH)) == KEYS
    assert KeyStore(store.database, again).keys(by_id) == by_id
    newest = store.registered()[-1]
    assert store.under() == {newest.prefix}
    assert newest.key.keeper == kept.name
