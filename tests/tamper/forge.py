"""What a forger needs: entries chained anew, trees over them, and checkpoints signed with the
log's real keys or with others."""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from time import time
from typing import Any

import orjson

from ledger.config import DataDirectory
from ledger_verifier.formats.checkpoint import Checkpoint, MLDSA44Cosigner
from ledger_verifier.formats.disclosure import b64url
from ledger_verifier.formats.entry import canonical, link_hash
from ledger_verifier.formats.merkle import leaf_hashes, root_of
from ledger_verifier.formats.note import Ed25519Signer, Note, SignatureLine
from ledger_verifier.formats.tiles import TILE_WIDTH, Tile, width_at

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Signing:
    """Two keys of a log, and its name."""

    origin: str
    ed25519: Ed25519Signer
    mldsa44: MLDSA44Cosigner

    @classmethod
    def real(cls, directory: DataDirectory) -> "Signing":
        """The keys that the policy names."""
        keys = directory.signing_keys()
        return cls(directory.origin, keys.ed25519, keys.mldsa44)

    @classmethod
    def false(cls, origin: str) -> "Signing":
        """Other keys under the same name."""
        return cls(origin, Ed25519Signer.generate(origin), MLDSA44Cosigner.generate(origin))

    @property
    def vkeys(self) -> list[str]:
        return [self.ed25519.key.vkey, self.mldsa44.key.vkey]

    def issued(self, size: int, root: bytes) -> bytes:
        """A checkpoint as it is handed out with a receipt."""
        text = Checkpoint(self.origin, size, root).text
        return Note(text, (self.ed25519.sign(text),)).encode()

    def published(self, size: int, root: bytes, at: int | None = None) -> bytes:
        """A checkpoint as it is published, at a POSIX second or now: a forger dates it well."""
        checkpoint = Checkpoint(self.origin, size, root)
        lines = (
            self.ed25519.sign(checkpoint.text),
            self.mldsa44.cosign(checkpoint, int(time()) if at is None else at),
        )
        return Note(checkpoint.text, lines).encode()


def random_uuid(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def stream_of(entry: Mapping[str, Any]) -> str:
    return f"{entry['stream']['kind']}/{entry['stream']['id']}"


def rechained(entries: Iterable[Entry]) -> list[bytes]:
    """Entries with versions and links as they have to be; those that are right already keep their
    bytes."""
    heads: dict[str, tuple[int, str | None]] = {}
    chained = []
    for entry in entries:
        stream = stream_of(entry)
        version, previous = heads.get(stream, (0, None))
        stamp = {**entry["stream"], "version": version + 1, "previous": previous}
        raw = canonical({**entry, "stream": stamp})
        heads[stream] = (version + 1, link_hash(raw).hex())
        chained.append(raw)
    return chained


def root(entries: Sequence[bytes]) -> bytes:
    return root_of(leaf_hashes(entries))


def cell_levels(entries: Sequence[bytes]) -> list[list[bytes]]:
    """The cells of every tile level."""
    levels = [leaf_hashes(entries)]
    while len(levels[-1]) >= TILE_WIDTH:
        below = levels[-1]
        full = len(below) // TILE_WIDTH * TILE_WIDTH
        levels.append([root_of(below[i : i + TILE_WIDTH]) for i in range(0, full, TILE_WIDTH)])
    return levels


def tile_of(level: int | None, index: int, size: int) -> Tile:
    """The tile of a tree of `size` that holds a cell of a level, or an entry (level None)."""
    number = index // TILE_WIDTH
    count = size >> (8 * (level or 0))
    width = TILE_WIDTH if number < count // TILE_WIDTH else width_at(level or 0, size)
    return Tile(level, number, width)


def flipped(raw: bytes, random: Random) -> bytes:
    """The bytes with one of them changed."""
    at = random.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ random.randrange(1, 256)]) + raw[at + 1 :]


def flipped_signature(raw: bytes, random: Random) -> bytes:
    """A checkpoint one of whose signature lines has other bytes after the key id."""
    note = Note.parse(raw)
    number = random.randrange(len(note.signatures))
    line = note.signatures[number]
    changed = SignatureLine(line.name, line.key_id, flipped(line.signature, random))
    lines = (*note.signatures[:number], changed, *note.signatures[number + 1 :])
    return Note(note.text, lines).encode()


def resaid(raw: bytes, **members: Any) -> bytes:
    """A checkpoint that says something else above the same signatures."""
    note = Note.parse(raw)
    said = Checkpoint.parse(note.text)
    values = {"origin": said.origin, "size": said.size, "root": said.root, **members}
    return Note(Checkpoint(**values).text, note.signatures).encode()


def hash_of(random: Random) -> bytes:
    return hashlib.sha256(random.randbytes(16)).digest()


# Edits of one entry that leave it canonical and well formed. Each takes the whole log, read, and
# the position, and changes the entry there.

Edit = Callable[[list[Entry], int, Random], None]


def edit_id(entries: list[Entry], at: int, random: Random) -> None:
    entries[at]["id"] = random_uuid(random)


def edit_time(entries: list[Entry], at: int, random: Random) -> None:
    entry = entries[at]
    member = random.choice(["occurred_at", "recorded_at"])
    day = f"{random.randrange(2020, 2035)}-{random.randrange(1, 13):02d}-17"
    entry[member] = day + entry[member][10:]


def edit_version(entries: list[Entry], at: int, random: Random) -> None:
    stream = entries[at]["stream"]
    stream["version"] += random.randrange(1, 1000)
    stream["previous"] = stream["previous"] or hash_of(random).hex()


def edit_stream(entries: list[Entry], at: int, random: Random) -> None:
    """Into another stream of its kind, which may exist or not."""
    stream = entries[at]["stream"]
    others = sorted(
        {e["stream"]["id"] for e in entries if e["stream"]["kind"] == stream["kind"]}
        - {stream["id"]}
    )
    new = not others or random.random() < 0.5
    stream["id"] = random_uuid(random) if new else random.choice(others)


def edit_content(entries: list[Entry], at: int, random: Random) -> None:
    """Something that nothing but the hash of the entry depends on."""
    entry = entries[at]
    members = ["nonce"]
    members += [name for name in ("actor", "submitted_by") if entry[name] is not None]
    member = random.choice(members)
    entry[member] = random_nonce(random) if member == "nonce" else random_uuid(random)


def next_in_stream(entries: Sequence[Entry], at: int) -> int | None:
    """The position of the entry that follows the one at a position in its stream, if any."""
    stream = stream_of(entries[at])
    return next((n for n in range(at + 1, len(entries)) if stream_of(entries[n]) == stream), None)


def random_nonce(random: Random) -> str:
    return b64url(random.randbytes(16))


def second_genesis(entries: Sequence[Entry], at: int, signing: Signing, random: Random) -> Entry:
    """A `ledger.opened` for a position after the first, in a stream of its own or in the first."""
    entry: Entry = orjson.loads(orjson.dumps(entries[0]))
    entry["id"], entry["nonce"] = random_uuid(random), random_nonce(random)
    entry["recorded_at"] = entries[at - 1]["recorded_at"]
    entry["data"]["keys"] = signing.vkeys
    if random.random() < 0.5:
        entry["stream"]["id"] = random_uuid(random)
    return entry
