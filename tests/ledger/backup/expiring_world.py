"""A ledger in which streams expired between its backups, and everything needed to lose it."""

import asyncio
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.expiring import Expirer
from ledger.exports.bundles import write_log_bundle
from ledger.initialise import initialise
from ledger.store import open_store
from ledger.submission import Submission
from ledger_verifier.formats.entry import StreamRef
from tests.conftest import MakeDatabase
from tests.faults.life import Life, living
from tests.ledger.acts import act, identified
from tests.ledger.backup.world import World
from tests.ledger.copies import key_rows

LATER = datetime.now(UTC) + timedelta(days=4000)
#: Entries of `within`: some entry bundle of the log is left with no bytes at all.
MANY = 420


@dataclass
class ExpiringWorld(World):
    """Four streams that expired: `first` between the backups 0 and 1, the others between 2 and 3.
    Of `across` the last entry came after backup 1; `erased` was erased after it; `within` came
    after it whole, and is as long as a bundle of entries. `kept` goes on throughout. `log` is a
    bundle of all of it, which the guard's checkpoint is of."""

    first: StreamRef = field(default_factory=lambda: identified().stream)
    across: StreamRef = field(default_factory=lambda: identified().stream)
    erased: StreamRef = field(default_factory=lambda: StreamRef("party", str(uuid4())))
    within: StreamRef = field(default_factory=lambda: identified().stream)
    #: What was recorded in each of them.
    sent: dict[str, list[Submission]] = field(default_factory=dict)
    #: Their entries, ciphertexts and wrapped keys: pieces of each.
    secrets: set[bytes] = field(default_factory=set)
    #: Positions that have expired.
    positions: list[int] = field(default_factory=list)

    @property
    def expired(self) -> list[StreamRef]:
        return [self.first, self.across, self.erased, self.within]


def make_expiring_world(path: Path, make_database: MakeDatabase | None) -> ExpiringWorld:
    """Make the ledger and its backups."""
    databases = (None, None) if make_database is None else (make_database(), make_database())
    directory = initialise(path / "data", database=databases[0], key_database=databases[1])
    kept, gone, late = (act("subject.identified").stream for _ in range(3))
    world = ExpiringWorld(path, directory, make_database, kept, gone, late)
    with pytest.MonkeyPatch.context() as patch, living(directory) as life:
        patch.setattr(Expirer, "now", lambda _: LATER)
        asyncio.run(_live(world, life))
        life.publisher.tick(time.monotonic() + 3600)
        write_log_bundle(life.store, world.log)
    return world


async def _live(world: ExpiringWorld, life: Life) -> None:
    async def send(*events: Submission) -> None:
        for event in events:
            world.sent.setdefault(event.stream.text, []).append(event)
        await life.record(*events)

    async def expire() -> None:
        _remember(world, life)
        await life.record(act("expiry.ordered", orders))

    closed, orders = "case.closed", act("expiry.ordered").stream
    await life.record(act("policy.adopted"))
    await send(identified(world.first), act(closed, world.first), identified(world.kept))
    # Both keys of it are in every backup.
    await send(act("data.disclosed", world.kept))
    await send(identified(world.across))
    await send(act("data.disclosed", world.across), act("erasure.ordered", world.erased))
    await send(act("disclosure.acknowledged", world.across))
    world.back_up(0)
    await expire()
    world.back_up(1)
    await send(identified(world.within), act("support.offered", world.kept))
    reviews = [act("case.reviewed", world.within) for _ in range(MANY)]
    await send(*reviews[: MANY // 2])
    await send(*reviews[MANY // 2 :], act(closed, world.within))
    await send(act(closed, world.across), act("support.offered", world.kept))
    _remember(world, life)
    await send(act("erasure.executed", world.erased))
    world.back_up(2)
    await expire()
    world.back_up(3)
    await send(act("support.offered", world.kept))


def _remember(world: ExpiringWorld, life: Life) -> None:
    """What is stored now of what is about to expire."""
    for stream in world.expired:
        stored = life.store.stream(stream.text)
        world.positions = sorted({*world.positions, *(one.position for one in stored)})
        sealed = life.store.sealed([one.position for one in stored])
        wrapped = key_rows(world.directory, "WHERE stream = ?", stream.text)
        world.secrets |= {stream.id.encode(), *(one.ciphertext[20:60] for one in sealed)}
        world.secrets |= {bytes(row[3]) for row in wrapped if isinstance(row[3], bytes)}


def stored_of(world: ExpiringWorld, database: str) -> list[int]:
    """Positions of the expired that an event store holds anything of."""
    with closing(open_store(database)) as store:
        entries = [one.position for one in store.entries(0, 10_000)]
        sealed = [row.position for row in store.sealed(world.positions)]
    return sorted({*entries, *sealed} & {*world.positions})
