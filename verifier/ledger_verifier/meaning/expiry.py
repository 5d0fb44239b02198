"""What `stream.expired` says: which positions of the log no longer have bytes.

Guarantees: `spans_of` gives what a well-formed entry says, in ascending order, none twice and no
two that touch, so that one set of positions has one spelling. Whether the positions may be said to
have expired by the entry that says so is for `ledger_verifier.audit.expiry`, which knows where it
stands and what is there. Which keys went with them is for whoever has the ledger's tables, which
are held to `keys_sha256`: the ids are random, so that the digest confirms no guess.

Format: docs/formats.md, "Expiry".
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

from ledger_verifier.formats.entry import MAX_INTEGER, is_hex64
from ledger_verifier.formats.errors import EntryError

STREAM_EXPIRED: Final = "stream.expired"
#: Most spans that one entry names. A larger set takes several entries.
MAX_SPANS: Final = 1000

#: First and last position.
Span = tuple[int, int]


def check_expired(data: Mapping[str, Any]) -> None:
    """Hold the data of a `stream.expired` entry against its form; raises EntryError."""
    if data.keys() != {"_sd", "keys_sha256", "order", "spans"} or data["_sd"]:
        raise EntryError("data: stream.expired has exactly keys_sha256, order and spans")
    if not is_hex64(data["keys_sha256"]):
        raise EntryError("data.keys_sha256: not well formed")
    if not _is_position(data["order"]):
        raise EntryError("data.order: not well formed")
    flat = data["spans"]
    if (
        type(flat) is not list
        or not 2 <= len(flat) <= 2 * MAX_SPANS
        or len(flat) % 2
        or not all(map(_is_position, flat))
    ):
        raise EntryError("data.spans: not first and last positions of 1 to 1000 spans")
    spans = spans_of(data)
    if any(first > last for first, last in spans):
        raise EntryError("data.spans: a span ends before it begins")
    if any(after <= last + 1 for (_, last), (after, _) in pairwise(spans)):
        raise EntryError("data.spans: not in ascending order, or two that touch")


def spans_of(data: Mapping[str, Any]) -> list[Span]:
    """The spans that the data of a well-formed entry names."""
    flat = data["spans"]
    return list(zip(flat[::2], flat[1::2], strict=True))


def keys_sha256(key_ids: Iterable[str]) -> str:
    """The digest of the ids of keys, each in its lower-case text and a newline, in order."""
    return sha256("".join(f"{key_id}\n" for key_id in sorted(key_ids)).encode()).hexdigest()


def spans_from(positions: list[int]) -> list[Span]:
    """Distinct positions as spans."""
    spans: list[Span] = []
    for position in sorted(positions):
        if spans and spans[-1][1] == position - 1:
            spans[-1] = (spans[-1][0], position)
        else:
            spans.append((position, position))
    return spans


def _is_position(value: object) -> bool:
    # Entry 0 is what the log is: nothing says of it that it is gone.
    return type(value) is int and 1 <= value <= MAX_INTEGER
