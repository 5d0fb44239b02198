"""What API workers and the writer process say to each other, and how it is framed.

Guarantees: a frame is a 4-byte big-endian length and that many bytes of JSON; nothing received is
executed or unpickled, so a worker can do no more than ask for an append.
"""

import base64
import struct
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ledger.store.records import Doomed, DoomedId, ExpiryPlan

_LENGTH = struct.Struct(">I")
#: A batch of 8 MiB of events grows by base64 and commitments; this bounds a frame from a worker.
MAX_FRAME: Final = 64 * 1024 * 1024

RECHECK: Final = "recheck"
VERSION: Final = "version"
HUB: Final = "hub"
#: It occurred later than the writer's clock allows.
AHEAD: Final = "ahead"
#: The stream's key in use is not the one that the submission was sealed under.
KEY: Final = "key"
#: An erasure of a stream that holds nothing under a subject key, or does not exist.
NOTHING: Final = "nothing"
#: A stream that would begin under the id of another one.
TAKEN: Final = "taken"


@dataclass(frozen=True, slots=True)
class PreparedEvent:
    """An entry but for what only the writer knows: version, previous, recorded_at, and for an
    erasure the key ids and the version it reaches.

    `sealed` holds (key class, key id, nonce and ciphertext). `source` is the true source.
    `seen_version` is the version of the stream that the event was prepared for, where it may be
    recorded at no other. An erasure of some entries alone names their `versions`, and holds what
    it keeps of the stream in `resealed`: (position, key id, nonce and ciphertext).
    `expires` is what an order to expire removes. `expired_through` is the tree size after the last
    expiry that was taken into account; None where none can matter.
    """

    entry: dict[str, Any]
    source: str
    expected_version: int | None
    sealed: tuple[tuple[str, str, bytes], ...]
    any_hub: bool
    erases: bool
    seen_version: int | None = None
    versions: tuple[int, ...] | None = None
    resealed: tuple[tuple[int, str, bytes], ...] = ()
    expires: ExpiryPlan | None = None
    expired_through: int | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """One committed entry and its inclusion proof in the batch's checkpoint."""

    position: int
    leaf_hash: bytes
    version: int
    recorded_at: str
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of the submission was appended: why, which event of it, and the stream's version."""

    why: str
    index: int
    version: int = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """All of a submission was appended, under this signed checkpoint."""

    checkpoint: bytes
    events: tuple[Appended, ...]


Outcome = Committed | Refused


def frame(message: dict[str, Any]) -> bytes:
    """A framed message."""
    body = orjson.dumps(message)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Splits a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages completed by these bytes; raises ValueError on an oversized frame."""
        self._buffer += data
        messages, start = [], 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > MAX_FRAME:
                raise ValueError("frame is over the limit")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            messages.append(orjson.loads(memoryview(self._buffer)[start + _LENGTH.size : end]))
            start = end
        # A parsed view is released before the buffer shrinks.
        del self._buffer[:start]
        return messages


def event_to_json(event: PreparedEvent) -> dict[str, Any]:
    """An event as it crosses to the writer."""
    return {
        "entry": event.entry,
        "source": event.source,
        "expected": event.expected_version,
        "sealed": [[c, k, base64.b64encode(raw).decode()] for c, k, raw in event.sealed],
        "any_hub": event.any_hub,
        "erases": event.erases,
        "seen": event.seen_version,
        "versions": event.versions,
        "resealed": [[p, k, base64.b64encode(raw).decode()] for p, k, raw in event.resealed],
        "expires": None if event.expires is None else _plan_to_json(event.expires),
        "through": event.expired_through,
    }


def event_from_json(value: dict[str, Any]) -> PreparedEvent:
    """The inverse of `event_to_json`."""
    return PreparedEvent(
        value["entry"],
        value["source"],
        value["expected"],
        tuple((c, k, base64.b64decode(raw)) for c, k, raw in value["sealed"]),
        value["any_hub"],
        value["erases"],
        value["seen"],
        None if value["versions"] is None else tuple(value["versions"]),
        tuple((p, k, base64.b64decode(raw)) for p, k, raw in value["resealed"]),
        None if value["expires"] is None else _plan_from_json(value["expires"]),
        value["through"],
    )


def _plan_to_json(plan: ExpiryPlan) -> list[Any]:
    return [
        plan.size,
        plan.mark_key,
        [
            [
                one.stream,
                one.version,
                one.hub,
                one.organisation,
                one.mark.hex(),
                [[e.source, e.id, e.position, e.mark.hex()] for e in one.entries],
                one.key_ids,
            ]
            for one in plan.doomed
        ],
    ]


def _plan_from_json(value: list[Any]) -> ExpiryPlan:
    size, mark_key, doomed = value
    return ExpiryPlan(
        size,
        mark_key,
        tuple(
            Doomed(
                stream,
                version,
                hub,
                organisation,
                bytes.fromhex(mark),
                tuple(DoomedId(s, i, p, bytes.fromhex(m)) for s, i, p, m in found),
                tuple(key_ids),
            )
            for stream, version, hub, organisation, mark, found, key_ids in doomed
        ),
    )


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as it crosses back."""
    if isinstance(outcome, Refused):
        return {"why": outcome.why, "index": outcome.index, "version": outcome.version}
    return {
        "checkpoint": outcome.checkpoint.decode(),
        "events": [
            [e.position, e.leaf_hash.hex(), e.version, e.recorded_at, [h.hex() for h in e.proof]]
            for e in outcome.events
        ],
    }


def outcome_from_json(value: dict[str, Any]) -> Outcome:
    """The inverse of `outcome_to_json`."""
    if "why" in value:
        return Refused(value["why"], value["index"], value["version"])
    events = tuple(
        Appended(p, bytes.fromhex(leaf), v, at, tuple(map(bytes.fromhex, proof)))
        for p, leaf, v, at, proof in value["events"]
    )
    return Committed(value["checkpoint"].encode(), events)
