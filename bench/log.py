"""Makes a log to measure with: realistic entries of the catalogue's types, tiles, a checkpoint.

Guarantees: every entry is of a registered type, with its open fields, as many digests as the type
seals fields, and its place in a stream, and passes the verifier; hash tiles and entry bundles are
those of c2sp.org/tlog-tiles; the checkpoint is signed with real keys. Ids and digests are random
bytes of a fixed seed: nothing was ever sealed under them. The service takes no part, so that a
million entries take a minute.
"""

import random
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from ledger.catalogue import CATALOGUE, EventType
from ledger_verifier.formats.bundle import CHECKPOINT, BundleWriter
from ledger_verifier.formats.checkpoint import Checkpoint, MLDSA44Cosigner
from ledger_verifier.formats.entry import FORMAT, SD_ALG, canonical, decode, link_hash
from ledger_verifier.formats.merkle import HASH_SIZE, leaf_hash, root_of
from ledger_verifier.formats.note import Ed25519Signer, Note
from ledger_verifier.formats.policy import Policy, PolicyLog
from ledger_verifier.formats.tiles import (
    TILE_WIDTH,
    Tile,
    decode_entries,
    encode_entries,
    encode_hashes,
)
from ledger_verifier.meaning.schemas import LEDGER_OPENED, SCHEMA_REGISTERED

ORIGIN: Final = "ledger.example/bench"
#: Entries for each stream, about: a case has a few dozen, an access stream a handful.
ENTRIES_PER_STREAM: Final = 12
#: How often a type occurs beside the others; one for those not named.
WEIGHTS: Final = {
    "data.disclosed": 30,
    "subject.identified": 20,
    "content.referred": 20,
    "record.consulted": 15,
    "subject.notified": 8,
    "disclosure.acknowledged": 8,
    "support.offered": 4,
    "case.closed": 4,
}
#: Kinds of streams that most entries are in; the streams are divided among them.
KINDS: Final = ("case", "content", "access")
HUBS: Final = tuple(f"E{9_000_001 + number:08d}" for number in range(33))
EARLIER: Final = "earlier"
_START: Final = 1_790_000_000_000


@dataclass(frozen=True, slots=True)
class Made:
    """A log that has been made: where, how many entries and bytes, and who trusts it."""

    folder: Path
    entries: int
    entry_bytes: int
    digests: int
    streams: int
    policy: Policy


class Maker:
    """Yields entries one after the other. Two makers of one seed yield the same."""

    def __init__(self, seed: int = 1, streams: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a fixed seed is what is wanted
        self._limit = streams
        self.signer = Ed25519Signer.generate(ORIGIN)
        self.mldsa = MLDSA44Cosigner.generate(ORIGIN)
        self._ledger = self._uuid()
        self._heads: dict[tuple[str, str], tuple[int, str]] = {}
        self._open: dict[str, list[str]] = {}
        self.position = 0
        self.digests = 0

    @property
    def policy(self) -> Policy:
        return Policy((PolicyLog(self.signer.key), PolicyLog(self.mldsa.key)), (), (), None)

    @property
    def streams(self) -> int:
        return len(self._heads)

    def opening(self) -> Iterator[bytes]:
        """Entry 0 and every registration."""
        keys = [self.signer.key.vkey, self.mldsa.key.vkey]
        yield self._service(
            LEDGER_OPENED, {"_sd": [], "origin": ORIGIN, "keys": keys, "predecessor": None}
        )
        for event_type in CATALOGUE.registrations():
            yield self._service(SCHEMA_REGISTERED, {"_sd": [], **event_type.registration()})

    def entries(self, expected: int) -> Iterator[bytes]:
        """Entries without end, in about as many streams as `expected` of them should have."""
        # An erasure names keys, and is the only type whose numbers depend on its stream's.
        types = [t for t in CATALOGUE.types() if t.type != "erasure.executed"]
        weights = [WEIGHTS.get(t.type, 1) for t in types]
        most = max(2, (self._limit or expected // ENTRIES_PER_STREAM) // len(KINDS))
        while True:
            for event_type in self._random.choices(types, weights, k=4096):
                yield self._event(event_type, most)

    def sign(self, size: int, root: bytes) -> bytes:
        """A checkpoint by both keys of the log."""
        checkpoint = Checkpoint(ORIGIN, size, root)
        lines = (
            self.signer.sign(checkpoint.text),
            self.mldsa.cosign(checkpoint, _START // 1000 + size),
        )
        return Note(checkpoint.text, lines).encode()

    def _event(self, event_type: EventType, most: int) -> bytes:
        kind = event_type.stream_kinds[0]
        known = self._open.setdefault(kind, [])
        often = 1 / ENTRIES_PER_STREAM
        if len(known) < 2 or (len(known) < most and self._random.random() < 2 * often):
            known.append(self._uuid())
            stream = known[-1]
        else:
            stream = self._random.choice(known)
        hub = int(stream[:4], 16) % len(HUBS)
        data: dict[str, Any] = {n: self._value(k) for n, k in event_type.open.items()}
        count = len(event_type.sealed)
        pool = self._random.randbytes(32 * count)
        data["_sd"] = sorted(
            urlsafe_b64encode(pool[at : at + 32])[:43].decode() for at in range(0, 32 * count, 32)
        )
        self.digests += count
        category = data.get("recipient_category") if event_type.recipient else None
        now = self._now()
        return self._entry(
            event_type.type,
            event_type.schema,
            (kind, stream),
            data,
            {
                "actor": None if category else self._uuid(),
                "submitted_by": None if category else self._uuid(),
                "source": category or f"hub-{hub}-cases",
                "organisation": category or f"council-{hub}",
                "hub": HUBS[hub],
                "regime": self._random.choice(("uk_gdpr", "dpa_part3")),
                "occurred_at": now[:10] if event_type.occurred == "date" else now,
                "recorded_at": now,
            },
        )

    def _service(self, type_name: str, data: dict[str, Any]) -> bytes:
        now = self._now()
        members = {
            "actor": None,
            "submitted_by": None,
            "source": "hub-ledger",
            "organisation": "hub-ledger",
            "hub": "central",
            "regime": None,
            "occurred_at": now,
            "recorded_at": now,
        }
        return self._entry(type_name, 1, ("ledger", self._ledger), data, members)

    def _entry(
        self,
        type_name: str,
        schema: int,
        stream: tuple[str, str],
        data: dict[str, Any],
        members: dict[str, Any],
    ) -> bytes:
        version, previous = self._heads.get(stream, (0, None))
        raw = canonical(
            {
                "_sd_alg": SD_ALG,
                "format": FORMAT,
                "id": self._uuid(),
                "nonce": urlsafe_b64encode(self._random.randbytes(16))[:22].decode(),
                "type": type_name,
                "schema": schema,
                "stream": {
                    "kind": stream[0],
                    "id": stream[1],
                    "version": version + 1,
                    "previous": previous,
                },
                "data": data,
                **members,
            }
        )
        if self.position < 1024:
            decode(raw)
        self._heads[stream] = (version + 1, link_hash(raw).hex())
        self.position += 1
        return raw

    def _uuid(self) -> str:
        text = self._random.randbytes(16).hex()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def _now(self) -> str:
        seconds, milliseconds = divmod(_START + 800 * self.position, 1000)
        day, clock = divmod(seconds, 86_400)
        return (
            f"{_day(day)}T{clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}"
            f".{milliseconds:03d}Z"
        )

    def _value(self, kind: str) -> Any:
        base, _, values = kind.partition(":")
        choose = self._random
        if base.endswith("?"):
            if choose.random() < 0.3:
                return None
            base = base[:-1]
        if base.endswith("[]"):
            one = base[:-2] + (":" + values if values else "")
            return [self._value(one) for _ in range(choose.randrange(4))]
        if base == "code":
            return choose.choice(values.split("|"))
        if base == "flag":
            return choose.random() < 0.5
        if base == "count":
            return choose.randrange(400)
        if base == "uuid":
            return self._uuid()
        if base == "sha256":
            return choose.randbytes(32).hex()
        return self._now() if base == "instant" else self._now()[:10]


_days: dict[int, str] = {}


def _day(number: int) -> str:
    if number not in _days:
        _days[number] = date.fromordinal(719_163 + number).isoformat()
    return _days[number]


def make(
    folder: Path, size: int, *, earlier: Iterable[int] = (), seed: int = 1, streams: int = 0
) -> Made:
    """Write a log of `size` entries as a directory of tiles, and its checkpoint; also signed
    checkpoints of these earlier sizes, in `earlier/<size>`."""
    maker = Maker(seed, streams)
    total = 0
    rows: list[list[bytes]] = [[]]

    def entries() -> Iterator[bytes]:
        yield from maker.opening()
        yield from maker.entries(size)

    bundle: list[bytes] = []
    for position, raw in zip(range(size), entries(), strict=False):
        bundle.append(raw)
        total += len(raw)
        rows[0].append(leaf_hash(raw))
        if len(bundle) == TILE_WIDTH or position == size - 1:
            tile = Tile(None, position // TILE_WIDTH, len(bundle))
            _write(folder / tile.path, encode_entries(bundle))
            bundle = []
    _write(folder / CHECKPOINT, maker.sign(size, root_of(rows[0])))
    for before in earlier:
        _write(folder / EARLIER / str(before), maker.sign(before, root_of(rows[0][:before])))
    level = 0
    while rows[level]:
        above: list[bytes] = []
        for start in range(0, len(rows[level]), TILE_WIDTH):
            cells = rows[level][start : start + TILE_WIDTH]
            path = Tile(level, start // TILE_WIDTH, len(cells)).path
            _write(folder / path, encode_hashes(cells))
            if len(cells) == TILE_WIDTH:
                above.append(root_of(cells))
        rows.append(above)
        level += 1
    return Made(folder, size, total, maker.digests, maker.streams, maker.policy)


def write_log_bundle(folder: Path, target: Path) -> None:
    """Put a directory of tiles into one log bundle."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    names = [name for name in names if not name.startswith(EARLIER)]
    with target.open("wb") as file:
        writer = BundleWriter(file)
        for name in names:
            writer.add(name, (folder / name).read_bytes())
        writer.close()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


class DirectoryReader:
    """A `LogReader` over a directory of tiles. With `size` it shows the log as it was then: a
    narrower tile is the beginning of the wider one."""

    live = False

    def __init__(self, folder: Path, size: int | None = None) -> None:
        self._folder = folder
        name = CHECKPOINT if size is None else f"{EARLIER}/{size}"
        self._checkpoint = (folder / name).read_bytes()
        self._whole = int((folder / CHECKPOINT).read_text().split("\n")[1])

    def checkpoint(self) -> bytes:
        return self._checkpoint

    def tile(self, tile: Tile) -> bytes:
        return self._read(tile)[: HASH_SIZE * tile.width]

    def entries(self, tile: Tile) -> list[bytes]:
        return decode_entries(self._read(tile), self._kept(tile).width)[: tile.width]

    def _read(self, tile: Tile) -> bytes:
        return (self._folder / self._kept(tile).path).read_bytes()

    def _kept(self, tile: Tile) -> Tile:
        """The tile of this level and index as it is in the directory."""
        count = self._whole >> (8 * (tile.level or 0))
        return Tile(tile.level, tile.index, min(TILE_WIDTH, count - tile.start))
