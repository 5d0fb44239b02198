"""Bundles: a log, or one stream's share of it, in one file that has one encoding only.

Guarantees: the same members always give the same bytes, and `BundleReader` accepts nothing that
`BundleWriter` could not have made. A bundle is a ZIP archive (APPNOTE 6.3, ZIP64 where a number
does not fit) so that anyone can open it with ordinary tools, but of one shape: members stored
uncompressed, in ascending order of name, contiguous from the first byte, dated 1980-01-01, with no
comment, attribute or extra field. Hence no compression bomb, no overlapping or hidden member, no
two readings of one file.

Format: docs/formats.md, "Bundles". A log bundle holds the paths of C2SP tlog-tiles and
`checkpoint`; a bundle of a stream holds `manifest.json`, `checkpoint`, and `entries/`, `proofs/`
and `disclosures/` named by 12-digit position.
"""

import base64
import binascii
import os
import re
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, Final

from ledger_verifier.formats.entry import canonical, is_uuid, load_canonical
from ledger_verifier.formats.errors import BundleError, DamagedMemberError, EntryError

CASE_FORMAT: Final = "hub-ledger/case-bundle@v1"
#: Of the other streams about people, by the same rules; to a verifier of cases alone it is unknown.
STREAM_FORMAT: Final = "hub-ledger/stream-bundle@v1"
BUNDLED: Final = frozenset({"access", "case", "content", "party", "restricted"})
MANIFEST: Final = "manifest.json"
CHECKPOINT: Final = "checkpoint"

#: Largest single member: a full entry bundle of the largest entries is just under 16.8 MB.
MAX_MEMBER: Final = 32 * 1024 * 1024
MAX_MEMBERS: Final = 1 << 20
MAX_NAME: Final = 128
MAX_POSITION: Final = 10**12 - 1
MAX_PROOF: Final = 64
#: Bytes of the directory read at a time.
_PIECE: Final = 1 << 16

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*")
_ORIGIN = re.compile(r"[^\s+]{1,255}")

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_ZIP64_EXTRA = struct.Struct("<2HQ")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_DATE_1980 = 0x0021
_LIMIT16 = 0xFFFF
_LIMIT32 = 0xFFFFFFFF

#: Most bytes of the directory for each member, and in all.
MAX_RECORD: Final = _CENTRAL.size + MAX_NAME + _ZIP64_EXTRA.size
MAX_DIRECTORY: Final = MAX_MEMBERS * MAX_RECORD


class UnknownBundleFormatError(BundleError):
    """The bundle says it is of a format this code does not know: it needs a newer verifier."""


class MissingMemberError(BundleError):
    """The bundle lacks a member that the check needs."""


def _local(name: bytes, crc: int, size: int) -> bytes:
    return _LOCAL.pack(b"PK\3\4", 20, 0, 0, 0, _DATE_1980, crc, size, size, len(name), 0) + name


def _central(name: bytes, crc: int, size: int, offset: int) -> bytes:
    large = offset >= _LIMIT32
    extra = _ZIP64_EXTRA.pack(1, 8, offset) if large else b""
    needed, where = (45, _LIMIT32) if large else (20, offset)
    lengths = (size, size, len(name), len(extra))
    header = _CENTRAL.pack(
        b"PK\1\2", 20, needed, 0, 0, 0, _DATE_1980, crc, *lengths, 0, 0, 0, 0, where
    )
    return header + name + extra


def _end(count: int, size: int, offset: int) -> bytes:
    large = count >= _LIMIT16 or size >= _LIMIT32 or offset >= _LIMIT32
    wide = b""
    if large:
        wide = _END64.pack(b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
        wide += _LOCATOR.pack(b"PK\6\7", 0, offset + size, 1)
    short = min(count, _LIMIT16)
    return wide + _END.pack(
        b"PK\5\6", 0, 0, short, short, min(size, _LIMIT32), min(offset, _LIMIT32), 0
    )


def _check_name(name: str) -> bytes:
    if len(name) > MAX_NAME or _NAME.fullmatch(name) is None:
        raise BundleError("a member's name is not a plain lower-case relative path")
    return name.encode("ascii")


class BundleWriter:
    """Writes members one by one, in ascending order of name, to a file opened for writing.

    Nothing is held back but the directory, so a bundle may be larger than memory. The file is
    complete only after `close`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offset = 0
        self._last = b""
        self._directory: list[bytes] = []

    def add(self, name: str, data: bytes) -> None:
        """Append a member; raises BundleError for a bad name, an order that is not ascending, or
        a member over MAX_MEMBER bytes."""
        raw = _check_name(name)
        if raw <= self._last:
            raise BundleError("members are not in ascending order of name")
        if len(data) > MAX_MEMBER or len(self._directory) >= MAX_MEMBERS:
            raise BundleError("a member, or the number of members, is over the limit")
        crc = zlib.crc32(data)
        header = _local(raw, crc, len(data))
        self._file.write(header)
        self._file.write(data)
        self._directory.append(_central(raw, crc, len(data), self._offset))
        self._offset += len(header) + len(data)
        self._last = raw

    def close(self) -> None:
        """Write the directory that ends the archive. The file stays open."""
        size = sum(map(len, self._directory))
        self._file.writelines(self._directory)
        self._file.write(_end(len(self._directory), size, self._offset))


def write_bundle(file: BinaryIO, members: Iterable[tuple[str, bytes]]) -> None:
    """Write all members. A collection is sorted first; what is made one by one is written as it
    comes, and has to come in ascending order: a log may be larger than memory. Raises BundleError
    as BundleWriter does."""
    if isinstance(members, Collection):
        members = sorted(members, key=lambda member: member[0])
    writer = BundleWriter(file)
    for name, data in members:
        writer.add(name, data)
    writer.close()


class BundleReader:
    """Random access to the members of a bundle; refuses every other ZIP file with BundleError.

    Memory is proportional to the number of members. The file must be seekable and stay open.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._members: dict[str, tuple[int, int, int]] = {}
        self._read_directory()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all members, ascending."""
        return tuple(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def read(self, name: str, limit: int = MAX_MEMBER) -> bytes:
        """Content of a member. Raises MissingMemberError if there is none of that name, BundleError
        if it is larger than `limit` bytes, and DamagedMemberError, which holds the content, if its
        checksum or header does not match."""
        if name not in self._members:
            raise MissingMemberError(f"the bundle lacks {name}")
        offset, size, crc = self._members[name]
        if size > limit:
            raise BundleError(f"{name} has {size} bytes, more than the {limit} it may have")
        header = _local(name.encode("ascii"), crc, size)
        content = self._at(offset, len(header) + size)
        if not content.startswith(header):
            reason = f"{name}: its header differs from the directory of the archive"
            raise DamagedMemberError(reason, content[len(header) :])
        data = content[len(header) :]
        if zlib.crc32(data) != crc:
            reason = f"{name}: its bytes do not match the checksum in the archive"
            raise DamagedMemberError(reason, data)
        return data

    def _at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) != length:
            raise BundleError("the archive is cut short")
        return data

    def _read_directory(self) -> None:
        total = self._file.seek(0, os.SEEK_END)
        count, size, offset, tail = self._read_end(total)
        if count > MAX_MEMBERS or offset + size + tail != total:
            raise BundleError("the archive has bytes that belong to no member, or too many members")
        if size > count * MAX_RECORD:
            raise BundleError("the directory of the archive is larger than its members need")
        # A file may be larger than it takes room on a disk: what it promises is read bit by bit.
        at, directory = offset, b""
        cursor = expected_offset = 0
        last = b""
        for _ in range(count):
            if len(directory) - cursor < MAX_RECORD and at < offset + size:
                piece = self._at(at, min(_PIECE, offset + size - at))
                at, directory, cursor = at + len(piece), directory[cursor:] + piece, 0
            header = directory[cursor : cursor + _CENTRAL.size]
            if len(header) != _CENTRAL.size:
                raise BundleError("the directory of the archive is cut short")
            fields = _CENTRAL.unpack(header)
            crc, member_size, name_length = fields[7], fields[8], fields[10]
            name = directory[cursor + _CENTRAL.size : cursor + _CENTRAL.size + name_length]
            text = name.decode("ascii", errors="replace")
            _check_name(text)
            if name <= last:
                raise BundleError("members are not in ascending order of name, or one is twice")
            exact = _central(name, crc, member_size, expected_offset)
            if member_size > MAX_MEMBER or directory[cursor : cursor + len(exact)] != exact:
                raise BundleError(f"{text}: compressed, too large, or not written as a bundle is")
            self._members[text] = (expected_offset, member_size, crc)
            expected_offset += _LOCAL.size + len(name) + member_size
            cursor += len(exact)
            last = name
        if at != offset + size or cursor != len(directory) or expected_offset != offset:
            raise BundleError("the archive has bytes that belong to no member")

    def _read_end(self, total: int) -> tuple[int, int, int, int]:
        """Count of members, size and offset of the directory, length of what ends the archive."""
        if total < _END.size:
            raise BundleError("not a bundle: too short")
        end = self._at(total - _END.size, _END.size)
        if not end.startswith(b"PK\5\6"):
            raise BundleError(
                "not a bundle: the file does not end as a ZIP archive without comment"
            )
        _, _, _, _, count, size, offset, _ = _END.unpack(end)
        if count == _LIMIT16 or size == _LIMIT32 or offset == _LIMIT32:
            wide = _END64.size + _LOCATOR.size
            if total < wide + _END.size:
                raise BundleError("not a bundle: too short")
            end = self._at(total - wide - _END.size, wide + _END.size)
            count, size, offset = _END64.unpack(end[: _END64.size])[7:]
        # Bounded before _end packs them into fields of fixed width.
        if max(count, size, offset) > total or end != _end(count, size, offset):
            raise BundleError("the end of the archive is not written as a bundle's is")
        return count, size, offset, len(end)


def entry_name(position: int) -> str:
    """Name of the member that holds the entry at a position of a case bundle."""
    return f"entries/{position:012d}"


def proof_name(position: int) -> str:
    """Name of the member that holds that entry's inclusion proof."""
    return f"proofs/{position:012d}"


def disclosures_name(position: int) -> str:
    """Name of the optional member that holds the opened fields of that entry."""
    return f"disclosures/{position:012d}"


def encode_proof(hashes: Iterable[bytes]) -> bytes:
    """One base64 hash a line, the leaf's sibling first."""
    return b"".join(base64.b64encode(value) + b"\n" for value in hashes)


def decode_proof(raw: bytes) -> list[bytes]:
    """Hashes of a proof member; raises BundleError unless `encode_proof` could have made it."""
    lines = raw.split(b"\n")
    if lines.pop() != b"" or len(lines) > MAX_PROOF:
        raise BundleError("a proof is not lines of base64, or is too long")
    try:
        hashes = [binascii.a2b_base64(line, strict_mode=True) for line in lines]
    except binascii.Error as error:
        raise BundleError("a proof is not base64") from error
    if any(len(value) != 32 for value in hashes) or encode_proof(hashes) != raw:
        raise BundleError("a proof holds something other than 32-byte hashes")
    return hashes


def encode_disclosures(texts: Iterable[str]) -> bytes:
    """One disclosure text a line."""
    return b"".join(text.encode("ascii") + b"\n" for text in texts)


def decode_disclosures(raw: bytes) -> list[str]:
    """Disclosure texts of a member; raises BundleError unless they are lines of ASCII."""
    if not raw.endswith(b"\n") or not raw.isascii():
        raise BundleError("disclosures are not lines of ASCII")
    return raw[:-1].decode("ascii").split("\n")


@dataclass(frozen=True, slots=True)
class CaseManifest:
    """What a case bundle says it holds: `positions` are the stream's entries from version 1 on,
    `registrations` those of `ledger.opened` and of every `schema.registered` they rest on."""

    origin: str
    stream: str
    tree_size: int
    positions: tuple[int, ...]
    registrations: tuple[int, ...]

    def encode(self) -> bytes:
        """Canonical bytes of the manifest."""
        return canonical(
            {
                "format": _format_of(self.stream),
                "origin": self.origin,
                "stream": self.stream,
                "tree_size": self.tree_size,
                "positions": list(self.positions),
                "registrations": list(self.registrations),
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> "CaseManifest":
        """Read a manifest. Raises UnknownBundleFormatError for a format this code does not know
        and BundleError for anything else that is not exactly a manifest."""
        try:
            value = load_canonical(raw)
        except EntryError as error:
            raise BundleError("manifest.json is not canonical JSON") from error
        if type(value) is not dict or type(value.get("format")) is not str:
            raise BundleError("manifest.json does not say its format")
        if value["format"] not in (CASE_FORMAT, STREAM_FORMAT):
            raise UnknownBundleFormatError("the bundle's format is not known to this verifier")
        _check_manifest(value)
        return cls(
            value["origin"],
            value["stream"],
            value["tree_size"],
            tuple(value["positions"]),
            tuple(value["registrations"]),
        )


def _format_of(stream: str) -> str:
    return CASE_FORMAT if stream.startswith("case/") else STREAM_FORMAT


def _check_manifest(value: dict[str, Any]) -> None:
    members = {"format", "origin", "stream", "tree_size", "positions", "registrations"}
    if value.keys() != members:
        raise BundleError("manifest.json has other members than a case bundle's")
    if type(value["origin"]) is not str or _ORIGIN.fullmatch(value["origin"]) is None:
        raise BundleError("manifest.json: origin is not well formed")
    stream = value["stream"] if type(value["stream"]) is str else ""
    kind, _, stream_id = stream.partition("/")
    if kind not in BUNDLED or not is_uuid(stream_id) or _format_of(stream) != value["format"]:
        raise BundleError("manifest.json: stream is not one that a bundle of its format is about")
    size = value["tree_size"]
    if type(size) is not int or not 1 <= size <= MAX_POSITION + 1:
        raise BundleError("manifest.json: tree_size is not the size of a tree")
    for name in ("positions", "registrations"):
        places = value[name]
        if type(places) is not list or not places or any(type(p) is not int for p in places):
            raise BundleError(f"manifest.json: {name} is not a list of positions")
        if places[0] < 0 or places[-1] >= size or any(a >= b for a, b in pairwise(places)):
            raise BundleError(f"manifest.json: {name} are not ascending within the tree")
    if not set(value["positions"]).isdisjoint(value["registrations"]):
        raise BundleError("manifest.json: a position is listed twice")


def write_case_bundle(
    file: BinaryIO,
    manifest: CaseManifest,
    checkpoint: bytes,
    entries: Mapping[int, tuple[bytes, Sequence[bytes]]],
    disclosures: Mapping[int, Sequence[str]] | None = None,
) -> None:
    """Write a case bundle: `entries` gives the bytes and the inclusion proof of every position
    that the manifest lists; `disclosures` the opened fields, where there are any. Raises
    BundleError when the positions differ from the manifest's."""
    opened = {place: texts for place, texts in (disclosures or {}).items() if texts}
    listed = {*manifest.positions, *manifest.registrations}
    if entries.keys() != listed or not opened.keys() <= listed:
        raise BundleError("the entries given are not those that the manifest lists")
    members = [(MANIFEST, manifest.encode()), (CHECKPOINT, checkpoint)]
    for position, (raw, proof) in entries.items():
        members.append((entry_name(position), raw))
        members.append((proof_name(position), encode_proof(proof)))
    members.extend(
        (disclosures_name(position), encode_disclosures(texts))
        for position, texts in opened.items()
    )
    write_bundle(file, members)
