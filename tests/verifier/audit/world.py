"""A log made in memory with real keys, real entries and real tiles, for the verifier to look at.

Nothing of the service takes part. `World` appends entries; `members()` gives the whole log as the
paths of a log bundle, which a test may alter before it is served over HTTP or written to a file.
"""

import hashlib
import random
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ledger_verifier.formats.bundle import (
    CaseManifest,
    write_bundle,
    write_case_bundle,
)
from ledger_verifier.formats.checkpoint import Checkpoint, Ed25519Cosigner, MLDSA44Cosigner
from ledger_verifier.formats.disclosure import Disclosure, b64url
from ledger_verifier.formats.entry import canonical, encode, link_hash
from ledger_verifier.formats.merkle import leaf_hashes, prove_inclusion, root_of
from ledger_verifier.formats.note import Ed25519Signer, Note
from ledger_verifier.formats.policy import Policy, PolicyGroup, PolicyLog, PolicyWitness
from ledger_verifier.formats.proof import LogProof
from ledger_verifier.formats.tiles import (
    Tile,
    bundles_of,
    decode_entries,
    encode_entries,
    encode_hashes,
    tiles_of,
)
from ledger_verifier.meaning.schemas import TRUE_FIELDS

ORIGIN = "ledger.test/hub"
TOKEN = "hl_test"
START = 1_790_000_000_000  # milliseconds; 2026-09-21
SHA = "0" * 64

_SIGNER = Ed25519Signer.generate(ORIGIN)
_MLDSA = MLDSA44Cosigner.generate(ORIGIN)
_WITNESSES = (
    Ed25519Cosigner.generate("witness.test/a"),
    MLDSA44Cosigner.generate("witness.test/b"),
)


def instant(milliseconds: int) -> str:
    """An instant in the entry's form."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def policy(quorum: str | None = "both") -> Policy:
    """The auditor's policy: the log's two keys, two witnesses, and a quorum (`both` or none)."""
    return Policy(
        (PolicyLog(_SIGNER.key), PolicyLog(_MLDSA.key)),
        tuple(PolicyWitness(w.key.name, w.key) for w in _WITNESSES),
        (PolicyGroup("both", 2, tuple(w.key.name for w in _WITNESSES)),),
        quorum,
    )


def sign(
    size: int,
    root: bytes,
    *,
    mldsa: bool = True,
    witnessed: bool = True,
    origin: str = ORIGIN,
    log_at: int | None = None,
    witnessed_at: int | None = None,
) -> bytes:
    """A checkpoint signed with the log's real keys, and cosigned, at these times (in seconds)."""
    checkpoint = Checkpoint(origin, size, root)
    own, theirs = (START // 1000 + size if t is None else t for t in (log_at, witnessed_at))
    lines = [_SIGNER.sign(checkpoint.text)]
    if mldsa:
        lines.append(_MLDSA.cosign(checkpoint, own))
    if witnessed:
        lines.extend(w.cosign(checkpoint, theirs) for w in _WITNESSES)
    return Note(checkpoint.text, tuple(lines)).encode()


@dataclass
class World:
    """A log under construction. `entries` are the canonical bytes, `opened` the disclosures."""

    seed: int = 1
    entries: list[bytes] = field(default_factory=list)
    opened: dict[int, list[Disclosure]] = field(default_factory=dict)
    heads: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._ledger = self.uuid()

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def draft(
        self, type_: str, stream: str, data: Mapping[str, Any], **members: Any
    ) -> dict[str, Any]:
        """The next entry of a stream, not yet appended."""
        kind, _, stream_id = stream.partition("/")
        version, previous = self.heads.get(stream, (0, None))
        now = instant(START + 1000 * len(self.entries))
        service = kind == "ledger"
        return {
            "format": "hub-ledger/entry@v1",
            "id": self.uuid(),
            "nonce": b64url(self._random.randbytes(16)),
            "type": type_,
            "schema": 1,
            "stream": {
                "kind": kind,
                "id": stream_id,
                "version": version + 1,
                "previous": previous,
            },
            "occurred_at": now,
            "recorded_at": now,
            "source": "hub-ledger" if service else "lewisham-hub",
            "organisation": "hub-ledger" if service else "lewisham",
            "hub": "central" if service else "E09000023",
            "actor": None if service else self.uuid(),
            "submitted_by": None if service else self.uuid(),
            "regime": None if service else "uk_gdpr",
            "data": {"_sd": [], **data},
            "_sd_alg": "sha-256",
            **members,
        }

    def append_raw(self, raw: bytes, stream: str | None = None, version: int = 1) -> int:
        """Append bytes as they are."""
        if stream is not None:
            self.heads[stream] = (version, link_hash(raw).hex())
        self.entries.append(raw)
        return len(self.entries) - 1

    def append(self, entry: dict[str, Any]) -> int:
        """Append a good entry; returns its position."""
        stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
        return self.append_raw(encode(entry), stream, entry["stream"]["version"])

    def ledger(self, type_: str, data: Mapping[str, Any], **members: Any) -> int:
        return self.append(self.draft(type_, f"ledger/{self._ledger}", data, **members))

    def open(self, origin: str = ORIGIN) -> None:
        """Entry 0 and the registrations."""
        keys = [_SIGNER.key.vkey, _MLDSA.key.vkey]
        data = {"origin": origin, "keys": keys, "predecessor": None}
        self.ledger("ledger.opened", data)
        self.register("note.added", ["case"])
        self.register("reply.received", ["case"], recipient=True)

    def register(
        self,
        type_: str,
        streams: Sequence[str],
        *,
        recipient: bool = False,
        schema: int = 1,
        occurred: str = "instant",
    ) -> int:
        open_fields = {"purpose": "code:support|safeguarding", "times": "count"}
        sealed = {"name": "personal", "grounds": "coded"}
        if recipient:
            open_fields = {"recipient_category": "code:council|school"}
            sealed = dict.fromkeys(TRUE_FIELDS, "attribution")
        data = {
            "type": type_,
            "schema": schema,
            "streams": list(streams),
            "occurred": occurred,
            "recipient": recipient,
            "open": open_fields,
            "sealed": sealed,
            "json_schema_sha256": SHA,
        }
        return self.ledger("schema.registered", data)

    def disclose(self, name: str, value: Any) -> Disclosure:
        """A commitment, the same for every world of one seed."""
        salt = b64url(self._random.randbytes(32))
        return Disclosure(salt, name, value, b64url(canonical([salt, name, value])))

    def note(self, stream: str, **members: Any) -> dict[str, Any]:
        """A draft of an ordinary entry, with two sealed fields."""
        opened = [self.disclose("name", "Ada Example"), self.disclose("grounds", "referral")]
        data = {
            "purpose": "support",
            "times": len(self.entries),
            "_sd": sorted(d.digest for d in opened),
        }
        self.opened[len(self.entries)] = opened
        return self.draft("note.added", stream, data, **members)

    def fill(self, size: int, streams: int = 20) -> "World":
        """Append until there are `size` entries."""
        if not self.entries:
            self.open()
        cases = [name for name in self.heads if name.startswith("case/")]
        while len(cases) < streams:
            cases.append(f"case/{self.uuid()}")
        while len(self.entries) < size:
            self.append(self.note(cases[len(self.entries) % len(cases)]))
        return self

    def root(self, size: int | None = None) -> bytes:
        return root_of(leaf_hashes(self.entries[:size]))

    def checkpoint(self, size: int | None = None, **options: Any) -> bytes:
        size = len(self.entries) if size is None else size
        return sign(size, self.root(size), **options)

    def receipt(self, position: int, size: int | None = None, **options: Any) -> bytes:
        """A tlog-proof of an entry, under an issued checkpoint unless told otherwise."""
        size = len(self.entries) if size is None else size
        options = {"mldsa": False, "witnessed": False, **options}
        proof = LogProof(position, self.proof(position, size), self.checkpoint(size, **options))
        return proof.encode().encode()

    def proof(self, position: int, size: int | None = None) -> tuple[bytes, ...]:
        leaves = leaf_hashes(self.entries[:size])

        def node(height: int, index: int) -> bytes:
            return root_of(leaves[index << height : (index + 1) << height])

        return tuple(prove_inclusion(position, len(leaves), node))

    def members(self, **options: Any) -> dict[str, bytes]:
        """The log as a log bundle's members."""
        return {**tree_members(self.entries), "checkpoint": self.checkpoint(**options)}

    def case(self, stream: str, **changes: Any) -> "CaseParts":
        """What goes into the case bundle of a stream."""
        found = [p for p, raw in enumerate(self.entries) if stream.split("/")[1].encode() in raw]
        registrations = [
            p
            for p, raw in enumerate(self.entries)
            if b'"type":"ledger.opened"' in raw or b'"type":"schema.registered"' in raw
        ]
        entries: dict[int, tuple[bytes, Sequence[bytes]]] = {
            p: (self.entries[p], self.proof(p)) for p in (*found, *registrations)
        }
        manifest = CaseManifest(
            ORIGIN, stream, len(self.entries), tuple(found), tuple(registrations)
        )
        opened = {p: [d.text for d in self.opened[p]] for p in found}
        return CaseParts(manifest, self.checkpoint(**changes), entries, opened)


@dataclass
class CaseParts:
    """The arguments of `write_case_bundle`, for a test to alter."""

    manifest: CaseManifest
    checkpoint: bytes
    entries: dict[int, tuple[bytes, Sequence[bytes]]]
    opened: dict[int, list[str]]

    def write(self, path: Path) -> Path:
        with path.open("wb") as file:
            write_case_bundle(file, self.manifest, self.checkpoint, self.entries, self.opened)
        return path


def tree_members(entries: Sequence[bytes]) -> dict[str, bytes]:
    """Every hash tile and entry bundle of a tree."""
    rows = [leaf_hashes(entries)]
    members: dict[str, bytes] = {}
    for tile in tiles_of(len(entries)):
        level = tile.level or 0
        while len(rows) <= level:
            below = rows[-1]
            rows.append([root_of(below[i : i + 256]) for i in range(0, len(below) & ~255, 256)])
        members[tile.path] = encode_hashes(rows[level][tile.start : tile.start + tile.width])
    for tile in bundles_of(len(entries)):
        members[tile.path] = encode_entries(entries[tile.start : tile.start + tile.width])
    return members


def entry_tile(position: int, size: int, level: int | None = None) -> Tile:
    """The entry bundle (or tile of level 0) that holds a position of a tree."""
    index = position // 256
    return Tile(level, index, min(256, size - 256 * index))


def change_entry(members: dict[str, bytes], size: int, position: int, raw: bytes) -> None:
    """Put other bytes at a position, leaving the hash tiles alone."""
    path = entry_tile(position, size).path
    count = entry_tile(position, size).width
    entries = decode_entries(members[path], count)
    entries[position % 256] = raw
    members[path] = encode_entries(entries)


def change_cell(members: dict[str, bytes], path: str, cell: int, value: bytes = b"") -> None:
    """Change one cell of a hash tile."""
    data = bytearray(members[path])
    data[32 * cell : 32 * cell + 32] = value or hashlib.sha256(b"another").digest()
    members[path] = bytes(data)


def write_log(members: Mapping[str, bytes], path: Path) -> Path:
    """Write a log bundle."""
    with path.open("wb") as file:
        write_bundle(file, members.items())
    return path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body go out apart; held back, each body would wait for the client's late
    # acknowledgement.
    disable_nagle_algorithm = True
    server: "LogServer"

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        reply = self.server.reply(self.path, self.headers.get("Authorization"))
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body) + reply.missing))
        self.end_headers()
        self.wfile.write(reply.body)
        if reply.hang_up:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Reply:
    """What the server answers; `missing` bytes are promised and not sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False
    missing: int = 0


class LogServer(ThreadingHTTPServer):
    """Serves members as tlog-tiles; a test may replace what it serves, or single replies."""

    daemon_threads = True

    def __init__(self, members: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.members = dict(members)
        self.replies: dict[str, Reply] = {}
        self.requests: list[str] = []
        self.checkpoints: list[bytes] = []
        self.hang_up = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reply(self, path: str, authorization: str | None) -> Reply:
        name = path.removeprefix("/")
        if name in self.replies:
            return self.replies[name]
        if name.startswith("tile/entries/") and authorization != f"Bearer {TOKEN}":
            return Reply(401, b"{}")
        if name == "checkpoint" and self.checkpoints:
            return Reply(body=self.checkpoints.pop(0))
        if name not in self.members:
            return Reply(404, b"{}")
        return Reply(body=self.members[name], hang_up=self.hang_up)


@contextmanager
def serving(members: Mapping[str, bytes]) -> Iterator[LogServer]:
    """A server in a thread of its own."""
    server = LogServer(members)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
