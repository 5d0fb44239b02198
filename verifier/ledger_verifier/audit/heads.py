"""The last entry of every stream, held so that a million streams fit in memory and load fast.

Guarantees: what was put last under a stream is what is found. Heads met lately are in a dictionary;
when there are many they are packed, 62 bytes each, into sorted blocks, of which the right one is
found by the first keys of all. `packed` is all blocks joined: the form in which a state file keeps
them (docs/verify.md, "The state file"). To load it is to cut it into blocks.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Final

from ledger_verifier.formats.entry import STREAM_KINDS

#: Version, link hash and position of a stream's last entry.
Head = tuple[int, bytes, int]

#: Heads that wait in the dictionary before they are packed, unless there are many more already.
MAX_RECENT: Final = 1 << 16

_BLOCK: Final = 64
_KINDS: Final = sorted(STREAM_KINDS)
_CODES: Final = {kind.encode(): bytes((number,)) for number, kind in enumerate(_KINDS)}
# Kind and id; then version, link hash and position.
_RECORD: Final = struct.Struct(">17s45s")
_HEAD: Final = struct.Struct(">Q32s5s")
_KEY: Final = 17


class PackedHeadsError(ValueError):
    """These bytes are not packed heads."""


class Heads:
    """Heads by stream, written `kind/id`. Raises PackedHeadsError for what `packed` never gave."""

    def __init__(self, packed: bytes = b"", max_recent: int = MAX_RECENT) -> None:
        if len(packed) % _RECORD.size:
            raise PackedHeadsError
        step = _BLOCK * _RECORD.size
        self._blocks = [packed[at : at + step] for at in range(0, len(packed), step)]
        self._firsts = [block[:_KEY] for block in self._blocks]
        if self._firsts != sorted(set(self._firsts)):
            raise PackedHeadsError
        self._packed = len(packed) // _RECORD.size
        self._recent: dict[bytes, Head] = {}
        self._new = 0
        self._max_recent = max_recent

    def __len__(self) -> int:
        return self._packed + self._new

    def get(self, stream: bytes) -> Head | None:
        """The head of a stream, or None."""
        head = self._recent.get(stream)
        if head is None and self._packed:
            return self._find(stream)
        return head

    def put(self, heads: Mapping[bytes, Head], new: int) -> None:
        """Set heads, `new` of which are of streams that had none."""
        self._recent.update(heads)
        self._new += new
        if len(self._recent) > max(self._max_recent, self._packed // 8):
            self._pack()

    def items(self) -> Iterator[tuple[bytes, Head]]:
        """Every stream and its head, in the order of `packed`."""
        self._pack()
        for block in self._blocks:
            for key, value in _RECORD.iter_unpack(block):
                yield _stream(key), _head(value)

    def packed(self) -> bytes:
        """All heads, in ascending order of kind and id."""
        self._pack()
        return b"".join(self._blocks)

    def _find(self, stream: bytes) -> Head | None:
        key = _key(stream)
        block = self._blocks[max(0, bisect_right(self._firsts, key) - 1)]
        at = block.find(key)
        while at >= 0:
            if at % _RECORD.size == 0:
                return _head(block[at + _KEY : at + _RECORD.size])
            at = block.find(key, at + 1)
        return None

    def _pack(self) -> None:
        """Move the recent heads into the blocks where they belong."""
        recent = [(_key(stream), stream) for stream in self._recent]
        recent.sort()
        firsts = self._firsts
        touched: dict[int, list[bytes]] = {}
        for place, group in groupby(recent, lambda item: max(0, bisect_right(firsts, item[0]) - 1)):
            old = self._blocks[place] if self._blocks else b""
            records = dict(_RECORD.iter_unpack(old))
            for key, stream in group:
                version, link, position = self._recent[stream]
                records[key] = _HEAD.pack(version, link, position.to_bytes(5))
            listed = [key + records[key] for key in sorted(records)]
            touched[place] = [
                b"".join(listed[at : at + _BLOCK]) for at in range(0, len(listed), _BLOCK)
            ]
        if not touched:
            return
        blocks = self._blocks or [b""]
        self._blocks = [new for i, old in enumerate(blocks) for new in touched.get(i, (old,))]
        self._firsts = [block[:_KEY] for block in self._blocks]
        self._packed = sum(map(len, self._blocks)) // _RECORD.size
        self._recent.clear()
        self._new = 0


def _key(stream: bytes) -> bytes:
    kind, _, stream_id = stream.partition(b"/")
    return _CODES[kind] + bytes.fromhex(stream_id.replace(b"-", b"").decode())


def _stream(key: bytes) -> bytes:
    text = key[1:].hex()
    kind = _KINDS[key[0]]
    return f"{kind}/{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()


def _head(value: bytes) -> Head:
    version, link, position = _HEAD.unpack(value)
    return version, link, int.from_bytes(position)
