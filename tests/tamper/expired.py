"""The ledger of which streams have expired, as a target: saved as a bundle, or in its database."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import orjson

from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.expiring import Expirer
from ledger.exports.bundles import write_log_bundle
from ledger.initialise import initialise
from ledger.store import open_store
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import StreamRef
from tests.ledger.acts import act, identified
from tests.tamper.served import Served
from tests.tamper.subject import ACTOR, DPO, ORIGIN, Filler, Subject

#: Entries of it, expired ones among them: two tiles.
EXPIRED_SIZE = 300
CLOSED, OPEN = 9, 4
LATER = datetime.now(UTC) + timedelta(days=4000)


def make_expired(path: Path) -> Subject:
    """Create a ledger of which streams have expired. `was` has their bytes: somebody kept them."""
    directory = initialise(path, origin=ORIGIN, publish_seconds=0.1)
    was = asyncio.run(_fill(directory))
    with closing(open_store(directory.database)) as store:
        size = write_log_bundle(store, path.parent / "expired.bundle")
        held = {one.position: one.raw for one in store.entries(0, size)}
        publications = tuple((covered, raw) for _, covered, raw in store.publications())
    with (path.parent / "expired.bundle").open("rb") as file:
        bundle = BundleReader(file)
        members = {name: bundle.read(name) for name in bundle.names}
    assert size == EXPIRED_SIZE
    entries = tuple(held.get(position, b"") for position in range(size))
    gone = {position: was[position] for position, raw in enumerate(entries) if not raw}
    assert gone
    return Subject(directory, entries, publications, {}, (), was=gone, members=members)


async def _fill(directory: DataDirectory) -> dict[int, bytes]:
    """Fill the ledger; returns what it held before the expiry, by position."""
    async with Ledger.open(directory.path) as ledger:
        filler = Filler(ledger, {})
        closed = [StreamRef("case", str(uuid4())) for _ in range(CLOSED)]
        kept = [StreamRef("case", str(uuid4())) for _ in range(OPEN)]
        await ledger.record(DPO, [act("policy.adopted")])
        for events in (
            [identified(case) for case in (*closed, *kept)],
            [act("data.disclosed", case) for case in (*kept, *closed)],
            [act("case.closed", case) for case in closed],
        ):
            await filler.batch(events)
            await filler.published()
        for case in (*closed[:4], *kept):
            await ledger.case(DPO, case.id, ACTOR, None)
        with closing(open_store(directory.database)) as store:
            before = {one.position: one.raw for one in store.entries(0, EXPIRED_SIZE)}
        with patch.object(Expirer, "now", lambda _: LATER):
            await ledger.record(DPO, [act("expiry.ordered")])
        size = int((await ledger.status())["tree_size"])
        while size < EXPIRED_SIZE:
            events = [act("case.reviewed", kept[n % OPEN]) for n in range(EXPIRED_SIZE - size)]
            await filler.batch(events[:60])
            await filler.published()
            size = int((await ledger.status())["tree_size"])
    return before


def explaining(entries: tuple[bytes, ...]) -> int:
    """The position of the entry that says what has expired."""
    return next(
        position
        for position, raw in enumerate(entries)
        if raw and orjson.loads(raw)["type"] == "stream.expired"
    )


def living(entries: tuple[bytes, ...]) -> Mapping[str, list[int]]:
    """The positions of the entries of each stream that has not expired, but the ledger's own."""
    found: dict[str, list[int]] = {}
    for position, raw in enumerate(entries):
        if raw:
            stream = orjson.loads(raw)["stream"]
            if stream["kind"] != "ledger":
                found.setdefault(f"{stream['kind']}/{stream['id']}", []).append(position)
    return found


class ExpiredTarget:
    """A log bundle of it."""

    name = "log bundle, expired"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @contextmanager
    def stage(self) -> Iterator[Served]:
        earlier = [raw for _, raw in self._subject.publications[:-1]]
        yield Served(self._subject, None, dict(self._subject.members), earlier)
