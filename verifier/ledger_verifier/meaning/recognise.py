"""Reads many entries at once, at the cost of a few byte comparisons each.

Guarantees: `Recogniser.read` takes a list of entries only if `entry.decode` and `Registry.check`
accept every one of them, and what it gives of each is what those would give. It never says what is
wrong: whatever it does not take is for them to judge.

How: a canonical entry is fixed text between the fields that differ from one to the next (ids,
nonce, digests, times, hashes, the open fields of `data`). Whether it is sound depends on that text
and, apart from it, on each of these fields being of its form. So an entry that `decode` and `check`
have accepted teaches its texts: a later one of the same type that has the same texts, with fields
of the same widths between them, needs no parsing. Open fields are matched by an expression made
from the registration (`ledger_verifier.meaning.patterns`), and the forms of the other fields are
checked for the whole list together, since one call on a joined string costs little more than one on
a single field. What is remembered is bounded: a log that varies its texts without end is read
slowly, not wrongly.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import add, le, lt
from struct import Struct
from typing import Any, Final

from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.errors import EntryError
from ledger_verifier.meaning.assurance import REGISTERS
from ledger_verifier.meaning.patterns import CATEGORY_GROUP, open_pattern
from ledger_verifier.meaning.schemas import RESERVED_TYPES, Registration, Registry

#: Most sets of texts remembered, over all types.
MAX_TEXTS: Final = 16_384
#: Most values of all open fields together remembered for one type.
MAX_OPENED: Final = 256
#: Schemas of one type that are tried, newest first.
MAX_SCHEMAS: Final = 4
#: A type is looked up by the last bytes of its entries.
_NAME: Final = 16

_HEX: Final = b"0123456789abcdef"
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def _table(members: bytes, into: bytes) -> bytes:
    """For `translate`: every one of the members becomes `into`, and no other byte does."""
    return bytes(into[0] if c in members else 0 if c == into[0] else c for c in range(256))


_AS_HEX: Final = _table(_HEX, b"0")
_AS_DIGIT: Final = _table(b"0123456789", b"0")
_UUID: Final = b"00000000-0000-0000-0000-000000000000"
_INSTANT: Final = b"0000-00-00T00:00:00.000Z"
_HOURS: Final = frozenset(tuple(b"%02d" % hour) for hour in range(24))
_VERSIONS: Final = {b"": 1, **{b"%d" % number: number for number in range(2, 10_000)}}

_NAMED: Final = (b'{"_sd_alg":"sha-256","actor":"', b'","data":{"_sd":[', b"]")
_UNNAMED: Final = (b"", b'{"_sd_alg":"sha-256","actor":null,"data":{"_sd":[', b"]")
# What comes after the open fields, in pieces: texts at even places, fields at odd ones. A field
# that an entry lacks has no bytes, so that all entries have the same pieces.
_ID, _NONCE, _OCCURRED, _RECORDED, _STREAM, _PREVIOUS, _VERSION, _SUBMITTER = range(1, 17, 2)
_PIECES: Final = 17


@dataclass(frozen=True, slots=True)
class Fields:
    """Of each entry: its stream, written `kind/id`; its version; the link hash that it names, in
    hexadecimal, or nothing for version 1; when it was recorded."""

    streams: Sequence[bytes]
    versions: Sequence[int]
    previous: Sequence[bytes]
    recorded: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the texts of an entry say: the kind of its stream (with a slash), and the category of
    the recipient who submitted it."""

    kind: bytes
    category: bytes | None


_Texts = dict[tuple[bytes, ...], _Known]


class _Shape:
    """Entries of one (type, schema) as they look in bytes."""

    def __init__(self, registration: Registration) -> None:
        count = len(registration.sealed)
        width = 46 * count - 1 if count else 0
        self._recipient = registration.recipient
        # For entries that name an actor and those that do not: the pieces before the open fields,
        # and by the number of bytes after these the layouts there, each with its texts.
        self._kinds = tuple(_Kind(texts, width) for texts in (_UNNAMED, _NAMED))
        self._opened: dict[bytes, bytes | None] | None = {}
        # Compiled when it is first needed: that takes longer than reading a few entries.
        self._pattern = open_pattern(registration)
        self._match: Any = None

    def read(self, raw: bytes, into: "_Rows") -> bool:
        """Take an entry if it is recognised; the forms of its fields have still to be checked."""
        # After "actor": comes a quote, or null.
        kind = self._kinds[raw[29:30] == b'"']
        start = kind.size
        end = raw.find(b"}", start)
        layouts = kind.layouts.get(len(raw) - end)
        if layouts is None or end < start:
            return False
        head = kind.unpack(raw)
        if head[::2] != kind.texts:
            return False
        for unpack, texts in layouts:
            pieces = unpack(raw, end)
            known = texts.get(pieces[::2])
            if known is not None:
                break
        else:
            return False
        opened = raw[start:end]
        seen = self._opened
        if seen is not None and opened in seen:
            if seen[opened] != known.category:
                return False
        elif not self._are_open(opened, known):
            return False
        into.actors.append(head[1])
        into.digests.append(head[3])
        into.kinds.append(known.kind)
        into.rows.append(pieces)
        return True

    def _are_open(self, opened: bytes, known: _Known) -> bool:
        """Whether open fields are of their kinds, and say the same category as the texts."""
        if self._match is None:
            assert self._pattern is not None
            self._match = re.compile(self._pattern.encode()).fullmatch
        found = self._match(opened)
        if found is None:
            return False
        category: bytes | None = found[CATEGORY_GROUP] if self._recipient else None
        if self._opened is not None:
            self._opened[opened] = category
            if len(self._opened) >= MAX_OPENED:
                # They differ from entry to entry: to look them up is in vain.
                self._opened = None
        return category == known.category

    def learn(self, raw: bytes, entry: Mapping[str, Any]) -> bool:
        """Take in the texts of an entry that has been accepted; False when it teaches nothing."""
        named = entry["actor"] is not None
        if self._pattern is None or named is not (entry["submitted_by"] is not None):
            return False
        kind = self._kinds[named]
        layout, texts, fields = _layout(entry)
        end = len(raw) - layout.size
        # What is cut up by these widths must be these texts and fields, and what is left the rest.
        pieces = layout.unpack_from(raw, end)
        if pieces[::2] != texts or pieces[1::2] != fields or kind.unpack(raw)[::2] != kind.texts:
            return False
        known = _Known(
            f"{entry['stream']['kind']}/".encode(),
            entry["source"].encode() if self._recipient else None,
        )
        # It would be as sound as another version of its stream.
        for version in (1, 10, 100, 1000, 9):
            previous = None if version == 1 else "0" * 64
            stream = {**entry["stream"], "version": version, "previous": previous}
            layout, texts, _ = _layout({**entry, "stream": stream})
            kind.learn(layout, texts, known)
        return True


class _Kind:
    """Entries of a shape that name an actor, or those that do not."""

    def __init__(self, texts: tuple[bytes, ...], digests: int) -> None:
        self.texts = texts
        actor = 36 if texts[0] else 0
        layout = Struct(f"{len(texts[0])}s{actor}s{len(texts[1])}s{digests}s{len(texts[2])}s")
        self.unpack = layout.unpack_from
        self.size = layout.size
        self.layouts: dict[int, list[tuple[Any, _Texts]]] = {}
        self._known: dict[str, _Texts] = {}

    def learn(self, layout: Struct, texts: tuple[bytes, ...], known: _Known) -> None:
        """Take in texts that may follow the open fields, with fields between."""
        if layout.format not in self._known:
            self._known[layout.format] = {}
            same_size = self.layouts.setdefault(layout.size, [])
            same_size.append((layout.unpack_from, self._known[layout.format]))
        self._known[layout.format][texts] = known


class _Rows:
    """Entries in pieces."""

    __slots__ = ("actors", "digests", "kinds", "rows")

    def __init__(self) -> None:
        self.actors: list[bytes] = []
        self.digests: list[bytes] = []
        self.kinds: list[bytes] = []
        self.rows: list[tuple[bytes, ...]] = []


def _layout(entry: Mapping[str, Any]) -> tuple[Struct, tuple[bytes, ...], tuple[bytes, ...]]:
    """Texts and fields of a canonical entry after its open fields, and how wide they are."""
    stream, submitter = entry["stream"], entry["submitted_by"] or ""
    regime = "null" if entry["regime"] is None else f'"{entry["regime"]}"'
    kind = f'","kind":"{stream["kind"]}","previous":'
    submitted = '},"submitted_by":'
    first = stream["version"] == 1
    texts = (
        f'}},"format":"{entries.FORMAT}","hub":"{entry["hub"]}","id":"',
        '","nonce":"',
        '","occurred_at":"',
        f'","organisation":"{entry["organisation"]}","recorded_at":"',
        f'","regime":{regime},"schema":{entry["schema"]},"source":"{entry["source"]}"'
        ',"stream":{"id":"',
        f'{kind}null,"version":1' if first else f'{kind}"',
        "" if first else '","version":',
        f'{submitted}"' if submitter else f"{submitted}null",
        f'{chr(34) if submitter else ""},"type":"{entry["type"]}"}}',
    )
    fields = (
        entry["id"],
        entry["nonce"],
        entry["occurred_at"],
        entry["recorded_at"],
        stream["id"],
        "" if first else stream["previous"],
        "" if first else str(stream["version"]),
        submitter,
    )
    widths = [len(piece) for pair in zip(texts, fields, strict=False) for piece in pair]
    layout = Struct("".join(f"{width}s" for width in (*widths, len(texts[-1]))))
    return layout, tuple(t.encode() for t in texts), tuple(f.encode() for f in fields)


class Recogniser:
    """Reads entries of the types of a registry, which may go on learning."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._shapes: dict[tuple[str, int], _Shape] = {}
        self._by_name: dict[bytes, tuple[_Shape, ...]] = {}
        self._learned = 0

    def read(self, given: Sequence[bytes]) -> Fields | None:
        """The fields of these entries; None unless all are sound and none is of a reserved type or
        in a register, which whoever reads the log learns from."""
        into = _Rows()
        by_name = self._by_name
        for raw in given:
            for shape in by_name.get(raw[-_NAME:], ()):
                if shape.read(raw, into):
                    break
            else:
                if not self._read_slowly(raw, into):
                    return None
        if not given or max(map(len, given)) > entries.MAX_ENTRY:
            return None
        columns = list(zip(*into.rows, strict=True))
        versions = [_VERSIONS.get(digits) or _version(digits) for digits in columns[_VERSION]]
        if not _are_sound(into, columns) or 0 in versions:
            return None
        streams = list(map(add, into.kinds, columns[_STREAM]))
        return Fields(streams, versions, columns[_PREVIOUS], columns[_RECORDED])

    def _read_slowly(self, raw: bytes, into: _Rows) -> bool:
        """Have an entry judged by itself and learn from it. Its row holds what `read` gives of it,
        and nothing else that would have to be checked."""
        try:
            entry = entries.decode(raw)
            self._registry.check(entry)
        except EntryError:
            return False
        if entry["type"] in RESERVED_TYPES or entry["stream"]["kind"] in REGISTERS:
            return False
        _, _, fields = _layout(entry)
        row = [b""] * _PIECES
        row[1::2] = fields
        row[_OCCURRED] = b""
        into.rows.append(tuple(row))
        into.kinds.append(f"{entry['stream']['kind']}/".encode())
        if self._learned < MAX_TEXTS:
            self._learned += self._shape(raw, entry).learn(raw, entry)
        return True

    def _shape(self, raw: bytes, entry: Mapping[str, Any]) -> _Shape:
        registration = self._registry.get(entry["type"], entry["schema"])
        assert registration is not None
        key = (registration.type, registration.schema)
        if key not in self._shapes:
            shape = self._shapes[key] = _Shape(registration)
            others = self._by_name.get(raw[-_NAME:], ())
            self._by_name[raw[-_NAME:]] = (shape, *others)[:MAX_SCHEMAS]
        return self._shapes[key]


def _version(digits: bytes) -> int:
    """A version of five digits and more; 0 for what is not plainly one."""
    plain = digits.isdigit() and 5 <= len(digits) <= 15 and not digits.startswith(b"0")
    return int(digits) if plain else 0


def _are_sound(into: _Rows, columns: Sequence[Sequence[bytes]]) -> bool:
    """Whether every field is of its form."""
    occurred = [value for value in columns[_OCCURRED] if len(value) == len(_INSTANT)]
    days = {value for value in columns[_OCCURRED] if len(value) == 10}
    uuids = (into.actors, columns[_ID], columns[_STREAM], columns[_SUBMITTER])
    return (
        _are_uuids(b"".join(map(b"".join, uuids)))
        and _are_nonces(b"".join(columns[_NONCE]))
        and not b"".join(columns[_PREVIOUS]).translate(None, _HEX)
        and _are_digests(into.digests)
        and _are_instants([*columns[_RECORDED], *occurred])
        and all(entries.is_day(day.decode("latin-1")) for day in days)
        and _are_in_time(columns[_OCCURRED], columns[_RECORDED])
    )


def _are_uuids(joined: bytes) -> bool:
    if joined.translate(_AS_HEX) != _UUID * (len(joined) // len(_UUID)):
        return False
    others = joined[14::36].translate(None, b"47") + joined[19::36].translate(None, b"89ab")
    return others == b""


def _are_nonces(joined: bytes) -> bool:
    others = joined.translate(None, _BASE64) + joined[21::22].translate(None, b"AQgw")
    return others == b""


def _are_digests(blocks: Sequence[bytes]) -> bool:
    """Whether each block, which is of the width of a number of digests, is digests in quotes with
    commas between, in ascending order."""
    present = list(filter(None, blocks))
    if not present:
        return True
    joined = b",".join(present)
    count = (len(joined) + 1) // 46
    # Two quotes and a comma for each, all in their places, and nothing else but their characters.
    if (
        joined.translate(None, _BASE64) != b'"",' * (count - 1) + b'""'
        or joined[::46] + joined[44::46] != b'"' * (2 * count)
        or joined[43::46].translate(None, b"AEIMQUYcgkosw048")
    ):
        return False
    listed = joined.split(b",")
    rising: int = sum(map(lt, listed, islice(listed, 1, None)))
    between: int = sum(map(lt, [b[-45:] for b in present], [b[:45] for b in present[1:]]))
    return rising - between == count - len(present)


def _are_in_time(occurred: Sequence[bytes], recorded: Sequence[bytes]) -> bool:
    """Whether each occurred before it was recorded, as far as clocks go."""
    if all(map(le, occurred, recorded)):
        return True
    late = ((o, r) for o, r in zip(occurred, recorded, strict=True) if o > r)
    return not any(entries.is_ahead(o.decode(), r.decode()) for o, r in late)


def _are_instants(instants: Sequence[bytes]) -> bool:
    joined = b"".join(instants)
    if joined.translate(_AS_DIGIT) != _INSTANT * len(instants):
        return False
    minutes_and_seconds = joined[14::24] + joined[17::24]
    return (
        minutes_and_seconds.translate(None, b"012345") == b""
        and _HOURS.issuperset(zip(joined[11::24], joined[12::24], strict=True))
        and all(entries.is_day(day.decode("latin-1")) for day in {v[:10] for v in instants})
    )
