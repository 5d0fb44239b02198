"""A ledger that was backed up before and after an erasure, and everything needed to lose it."""

import asyncio
import shutil
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ledger import config
from ledger.access import Role
from ledger.application import Ledger
from ledger.backup.make import back_up
from ledger.backup.restore import Request, Restored, restore
from ledger.config import DataDirectory
from ledger.exports.bundles import write_log_bundle
from ledger.initialise import initialise
from ledger.store import open_store
from ledger.submission import Submission
from ledger_verifier.formats.entry import StreamRef
from tests.conftest import MakeDatabase
from tests.ledger.acts import act, credential, identified
from tests.ledger.copies import key_rows

ANY = credential()
DPO = credential(Role.DPO)
#: For what does not depend on the database: a world on one of them.
SQLITE = pytest.mark.parametrize("world", ["sqlite"], indirect=True, scope="session")


@dataclass
class World:
    """A ledger with these streams: `kept`, `gone` (erased between the first backup and the second),
    and `late` (new after the second). `first`, `second` and `third` are its backups; `log` is a
    bundle of all of it, which the guard's checkpoint is of."""

    path: Path
    directory: DataDirectory
    make_database: MakeDatabase | None
    kept: StreamRef
    gone: StreamRef
    late: StreamRef
    #: The first entry of `gone`, and what its subject fields were stored as.
    gone_at: int = -1
    ciphertext: bytes = b""
    wrapped: bytes = b""
    #: Sizes of the log at the three backups.
    sizes: list[int] = field(default_factory=list)
    #: What was recorded after the second backup.
    tail: list[Submission] = field(default_factory=list)
    #: Two events of one stream, of which the first alone is erased after the first backup.
    part: list[Submission] = field(default_factory=list)

    def events(self, number: int) -> Path:
        return self.path / f"events-{number}.backup"

    def keys(self, number: int) -> Path:
        return self.path / f"keys-{number}.backup"

    def guard(self, number: int) -> Path:
        return self.path / f"guard-{number}"

    @property
    def log(self) -> Path:
        return self.path / "log.zip"

    def back_up(self, number: int) -> None:
        made = back_up(self.directory.path, self.events(number), self.keys(number))
        shutil.copy(self.directory.guard_path, self.guard(number))
        self.sizes.append(made.events.size)

    def lost(self, path: Path) -> Path:
        """A data directory of which nothing is left but the signing keys, the wrapping key and the
        guard."""
        (path / "keys").mkdir(parents=True)
        for name in ("log-ed25519.key", "log-mldsa44.key", "wrapping.key", "guard"):
            shutil.copy(self.directory.keys_path / name, path / "keys" / name)
        return path

    def request(
        self, data: Path, events: int, keys: int | None, *, tail: bool = True, **more: Any
    ) -> Request:
        """A restore from backups of these numbers, into new databases."""
        databases: dict[str, Any] = {}
        if self.make_database is not None:
            databases = {"database": self.make_database(), "key_database": self.make_database()}
        values = {**databases, **more}
        archive = None if keys is None else self.keys(keys)
        log = self.log if tail else None
        return Request(data, self.events(events), archive, log, **values)

    def restored(self, data: Path, events: int, keys: int | None, **more: bool) -> Restored:
        return restore(self.request(self.lost(data), events, keys, **more))


async def published(ledger: Ledger) -> None:
    """Wait until everything recorded is published."""
    while True:
        status = await ledger.status()
        if status["published_size"] == status["tree_size"]:
            return
        await asyncio.sleep(0.01)


def make_world(path: Path, make_database: MakeDatabase | None) -> World:
    """Make the ledger and its backups."""
    databases = (None, None) if make_database is None else (make_database(), make_database())
    directory = initialise(
        path / "data", database=databases[0], key_database=databases[1], publish_seconds=0.05
    )
    kept, gone, late = (act("subject.identified").stream for _ in range(3))
    world = World(path, directory, make_database, kept, gone, late)
    first = identified()
    world.part = [first, act("case.closed", first.stream)]
    asyncio.run(_live(world))
    with closing(open_store(directory.database)) as store:
        write_log_bundle(store, world.log)
    world.directory = config.load(directory.path)
    return world


async def _live(world: World) -> None:
    directory, kept = world.directory, world.kept
    async with Ledger.open(directory.path) as ledger:
        # Both keys of both streams are made before the first backup.
        gone, *_ = await ledger.record(
            ANY,
            [
                identified(world.gone),
                act("data.disclosed", world.gone),
                identified(kept),
                act("data.disclosed", kept),
                *world.part,
            ],
        )
        world.gone_at = gone.position
        _remember(world)
        await asyncio.to_thread(world.back_up, 1)
        await ledger.record(DPO, [act("erasure.executed", world.gone)])
        await ledger.erasures_verified()
        await ledger.record(ANY, [act("support.offered", kept)])
        await asyncio.to_thread(world.back_up, 2)
        part = act("erasure.executed", world.part[0].stream)
        named = {"scope": "entries", "erased_events": [world.part[0].id]}
        await ledger.record(DPO, [replace(part, data={**part.data, **named})])
        await ledger.erasures_verified()
        world.tail = [identified(world.late), act("disclosure.acknowledged", kept)]
        await ledger.record(ANY, world.tail)
        await asyncio.to_thread(world.back_up, 3)
        await published(ledger)


def _remember(world: World) -> None:
    with closing(open_store(world.directory.database)) as store:
        row = next(r for r in store.sealed([world.gone_at]) if r.key_class == "subject")
    world.ciphertext = row.ciphertext
    ((_, _, _, wrapped),) = key_rows(world.directory, "WHERE key_id = ?", row.key_id)
    assert isinstance(wrapped, bytes | memoryview)
    world.wrapped = bytes(wrapped)
