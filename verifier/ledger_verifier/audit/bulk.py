"""Checks entry bundles without going into each entry, as long as there is nothing to explain.

Guarantees: `summarise` gives a summary only of entries that are sound each by itself, whose
`recorded_at` does not decrease and each of which names the entry before it of its stream, as far
as both are among them. What a summary leaves open (how each stream goes on from before, and the
hashes of the tree) is in it. For entries it gives no summary of, `streams.EntryChecker.check` says
what is wrong with them, if anything is. Nothing here depends on what else has been read but the
registrations, so bundles can be summarised in any order and in several processes.
"""

from binascii import unhexlify
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from operator import le

from ledger_verifier.audit.heads import Head
from ledger_verifier.formats.merkle import root_of
from ledger_verifier.formats.tiles import TILE_WIDTH
from ledger_verifier.meaning.recognise import Fields, Recogniser

_LEAF = sha256(b"\x00")
_LINK = sha256(b"\x02")


@dataclass(frozen=True, slots=True)
class Hashes:
    """Leaf hashes of a bundle, joined, and if it is full the root over them."""

    leaves: bytes
    root: bytes | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Of entries that follow each other: for each stream the version and the link hash that its
    first entry among them names (nothing for version 1) and its last entry; when the first and
    the last were recorded, and the last one's position."""

    firsts: dict[bytes, tuple[int, bytes]]
    lasts: dict[bytes, Head]
    first_recorded: str
    last_recorded: str
    last_position: int


def hashes_of(entries: Sequence[bytes]) -> Hashes:
    """Leaf hashes of the entries of one bundle."""
    leaves = []
    # To copy a state is quicker than to set one up, and to join prefix and entry.
    for raw in entries:
        state = _LEAF.copy()
        state.update(raw)
        leaves.append(state.digest())
    root = root_of(leaves) if len(leaves) == TILE_WIDTH else None
    return Hashes(b"".join(leaves), root)


def summarise(start: int, entries: Sequence[bytes], recogniser: Recogniser) -> Summary | None:
    """The summary of entries of which the first is at `start`; None when there may be something to
    explain, or something to learn."""
    fields = recogniser.read(entries)
    if fields is None:
        return None
    recorded = fields.recorded
    if not all(map(le, recorded, islice(recorded, 1, None))):
        return None
    chains = _chains(start, entries, fields)
    if chains is None:
        return None
    return Summary(*chains, recorded[0].decode(), recorded[-1].decode(), start + len(entries) - 1)


def _chains(
    start: int, entries: Sequence[bytes], fields: Fields
) -> tuple[dict[bytes, tuple[int, bytes]], dict[bytes, Head]] | None:
    firsts: dict[bytes, tuple[int, bytes]] = {}
    lasts: dict[bytes, Head] = {}
    empty = _LINK.copy
    previous_of = map(unhexlify, fields.previous)
    rows = zip(entries, fields.streams, fields.versions, previous_of, strict=True)
    for position, (raw, stream, version, previous) in enumerate(rows, start):
        before = lasts.get(stream)
        if before is None:
            firsts[stream] = (version, previous)
        elif version != before[0] + 1 or previous != before[1]:
            return None
        state = empty()
        state.update(raw)
        lasts[stream] = (version, state.digest(), position)
    return firsts, lasts
