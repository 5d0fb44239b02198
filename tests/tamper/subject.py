"""The ledger that is attacked: made through the service, as every ledger is.

It has cases with shares, recipients' acknowledgements and readings, restricted streams, content,
erasures in its first half, and two or three tiles of entries, the last of them partial. What was
given out of it is kept: receipts, bundles, packs, certificates.
"""

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.initialise import initialise
from ledger.store import open_store
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import StreamRef
from tests.ledger.acts import act, credential, identified

#: Entries of a ledger that is served to auditors: three tiles.
SERVED_SIZE = 600
#: Entries of one that is attacked in the database, of which every run of fsck opens every sealed
#: field: two tiles.
STORED_SIZE = 320
CASES = 12
BUNDLES = 3
PERSON = ("subject", None)
ORIGIN = "ledger.test/tampered"

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
_LIFE = (
    "support.offered",
    "subject.notified",
    "data.disclosed",
    "disclosure.acknowledged",
    "data.disclosed",
    "disclosure.acknowledged",
    "case.closed",
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A ledger at rest, and what an auditor and its clients were given while it grew."""

    directory: DataDirectory
    entries: tuple[bytes, ...]
    publications: tuple[tuple[int, bytes], ...]
    receipts: Mapping[int, bytes]
    cases: tuple[Mapping[str, bytes], ...]
    packs: tuple[Mapping[str, bytes], ...] = ()
    certificates: tuple[Mapping[str, bytes], ...] = ()
    #: Of a ledger of which streams have expired: what they were, and a log bundle of it.
    was: Mapping[int, bytes] = field(default_factory=dict)
    members: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def values(self) -> list[dict[str, Any]]:
        """The entries, read; fresh at every call."""
        return [orjson.loads(raw) for raw in self.entries]


def make_subject(path: Path, size: int, database: str | None = None) -> Subject:
    """Create a ledger and fill it with that many entries; on SQLite unless given the URL of an
    empty database."""
    directory = initialise(path, origin=ORIGIN, database=database, publish_seconds=0.1)
    receipts: dict[int, bytes] = {}
    given = asyncio.run(_fill(directory, receipts, size))
    store = open_store(directory.database)
    try:
        entries = tuple(stored.raw for stored in store.entries(0, size))
        publications = tuple((covered, raw) for _, covered, raw in store.publications())
    finally:
        store.close()
    assert len(entries) == publications[-1][0] == size
    cases, packs, certificates = given
    return Subject(directory, entries, publications, receipts, cases, packs, certificates)


async def _fill(
    directory: DataDirectory, receipts: dict[int, bytes], wanted: int
) -> list[tuple[Mapping[str, bytes], ...]]:
    async with Ledger.open(directory.path) as ledger:
        filler = Filler(ledger, receipts)
        streams = [StreamRef("case", str(uuid4())) for _ in range(CASES)]
        await filler.batch([act("hub.activated"), act("agreement.registered")])
        for start in range(0, CASES, 6):
            await filler.batch([identified(stream) for stream in streams[start : start + 6]])
        await filler.published()
        for round_, type_name in enumerate(_LIFE):
            for start in range(0, CASES, 6):
                await filler.batch([act(type_name, s) for s in streams[start : start + 6]])
            await filler.batch([act("notification.withheld"), act("content.referred")])
            for stream in streams[round_ : round_ + 2]:
                await ledger.case(DPO, stream.id, ACTOR, None)
            if round_ == 2:
                for stream in streams[-3:]:
                    # A copy that each certificate has to list.
                    await ledger.bundle(DPO, stream, actor=ACTOR, purpose="review")
                    await filler.batch([act("erasure.executed", stream)])
                    await ledger.erasures_verified()
            if round_ % 2:
                await filler.published()
        await filler.published()
        given = await _given(ledger, streams)
        size = int((await ledger.status())["tree_size"])
        while size < wanted:
            # One sealed field each, so that a run of fsck is short.
            events = [act("case.closed", streams[n % CASES]) for n in range(wanted - size)]
            await filler.batch(events[:60])
            await filler.published()
            size = int((await ledger.status())["tree_size"])
    return [tuple(_members(raw) for raw in files) for files in given]


async def _given(ledger: Ledger, streams: list[StreamRef]) -> tuple[list[bytes], ...]:
    """Bundles and packs of the first cases, certificates of the last, which are erased."""
    reading: dict[str, Any] = {"actor": ACTOR, "purpose": "inspection"}
    # Against one checkpoint, so that packs of one case differ in nothing but what they open.
    at = int((await ledger.status())["published_size"])
    bundles = [await ledger.bundle(DPO, stream, **reading) for stream in streams[:BUNDLES]]
    packs = [
        await ledger.bundle(DPO, stream, audience, at=at, recipient=recipient, **reading)
        for stream in streams[:2]
        for audience, recipient in (("auditor", "city-hall"), ("inspector", "ico"), PERSON)
    ]
    certificates = [
        await ledger.erasure_certificate(DPO, stream.id, ACTOR, form)
        for stream in streams[-2:]
        for form in ("controller", "subject")
    ]
    return bundles, packs, certificates


class Filler:
    """Records for whoever makes a ledger, and keeps the receipts."""

    def __init__(self, ledger: Ledger, receipts: dict[int, bytes]) -> None:
        self._ledger, self._receipts = ledger, receipts

    async def batch(self, submissions: list[Any]) -> None:
        erases = any(submission.type == "erasure.executed" for submission in submissions)
        for recorded in await self._ledger.record(DPO if erases else ANY, submissions):
            self._receipts[recorded.position] = recorded.receipt.encode()

    async def published(self) -> None:
        """Wait until all there is has been published."""
        while True:
            status = await self._ledger.status()
            if status["published_size"] == status["tree_size"]:
                return
            await asyncio.sleep(0.01)


def _members(raw: bytes) -> Mapping[str, bytes]:
    bundle = BundleReader(io.BytesIO(raw))
    return {name: bundle.read(name) for name in bundle.names}
