"""Bundles: one content, one encoding, and nothing else accepted."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_verifier.formats import bundle as bundles
from ledger_verifier.formats.bundle import (
    BundleReader,
    BundleWriter,
    CaseManifest,
    MissingMemberError,
    UnknownBundleFormatError,
    decode_disclosures,
    decode_proof,
    encode_disclosures,
    encode_proof,
    write_bundle,
    write_case_bundle,
)
from ledger_verifier.formats.errors import BundleError

from .hostile import mutants

STREAM = "case/6f1c2d3e-0000-4000-8000-000000000001"
NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,6}(/[a-z0-9][a-z0-9._-]{0,6}){0,2}", fullmatch=True)
MEMBERS = {"checkpoint": b"text\n", "tile/0/000.p/2": bytes(64), "tile/entries/000.p/2": b"\0\0"}


def written(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    write_bundle(file, members.items())
    return file.getvalue()


def opened(raw: bytes) -> dict[str, bytes]:
    reader = BundleReader(io.BytesIO(raw))
    return {name: reader.read(name) for name in reader}


@given(st.dictionaries(NAMES, st.binary(max_size=40), max_size=8))
def test_round_trip_and_order_of_writing_does_not_matter(members: dict[str, bytes]) -> None:
    raw = written(members)
    assert raw == written(dict(reversed(members.items())))
    assert opened(raw) == members
    assert list(opened(raw)) == sorted(members)


def test_ordinary_tools_can_open_it() -> None:
    with zipfile.ZipFile(io.BytesIO(written(MEMBERS))) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == MEMBERS
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_bundle_with_a_known_digest() -> None:
    """Other implementations can compare: this is the exact file."""
    raw = written({"b": b"two", "a": b"one"})
    assert raw.hex() == (
        "504b030414000000000000002100f1866c7a03000000030000000100000061"
        "6f6e65"
        "504b030414000000000000002100668aca1103000000030000000100000062"
        "74776f"
        "504b0102140014000000000000002100"
        "f1866c7a0300000003000000010000000000000000000000000000000000"
        "61"
        "504b0102140014000000000000002100"
        "668aca110300000003000000010000000000000000000000000022000000"
        "62"
        "504b050600000000020002005e000000440000000000"
    )


@settings(max_examples=400)
@given(mutants(written(MEMBERS)))
def test_no_other_bytes_are_accepted(raw: bytes) -> None:
    if raw != written(MEMBERS):
        with pytest.raises(BundleError):
            opened(raw)


def test_every_bit_counts() -> None:
    good = written(MEMBERS)
    for place in range(8 * len(good)):
        raw = bytearray(good)
        raw[place // 8] ^= 1 << place % 8
        with pytest.raises(BundleError):
            opened(bytes(raw))


def by_zipfile(make: Callable[[zipfile.ZipFile], None]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        make(archive)
    return file.getvalue()


def compressed(archive: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("checkpoint")
    archive.writestr(info, b"text\n" * 99, zipfile.ZIP_DEFLATED)


def twice(archive: zipfile.ZipFile) -> None:
    archive.writestr(zipfile.ZipInfo("checkpoint"), b"one")
    with pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(zipfile.ZipInfo("checkpoint"), b"two")


def commented(archive: zipfile.ZipFile) -> None:
    archive.writestr(zipfile.ZipInfo("checkpoint"), b"one")
    archive.comment = b"a comment"


@pytest.mark.parametrize("make", [compressed, twice, commented])
def test_archives_of_other_programs_are_refused(make: Callable[[zipfile.ZipFile], None]) -> None:
    with pytest.raises(BundleError):
        opened(by_zipfile(make))


@pytest.mark.parametrize("raw", [b"", b"PK", bytes(22), b"PK\5\6" + bytes(18) + b"x"])
def test_what_is_no_archive_is_refused(raw: bytes) -> None:
    with pytest.raises(BundleError):
        opened(raw)


def test_bytes_before_or_after_are_refused() -> None:
    good = written(MEMBERS)
    for raw in (b"x" + good, good + b"x", good + good):
        with pytest.raises(BundleError):
            opened(raw)


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "A", "a b", "a/", "\u00e9", "a" * 129, ".hidden"],
)
def test_names_that_are_no_plain_path_are_refused(name: str) -> None:
    with pytest.raises(BundleError):
        written({name: b""})


def test_members_out_of_order_are_refused() -> None:
    writer = BundleWriter(io.BytesIO())
    writer.add("b", b"")
    for name in ("a", "b"):
        with pytest.raises(BundleError):
            writer.add(name, b"")


def test_members_made_one_by_one_are_not_held_back() -> None:
    good, late = [("a", b"1"), ("b", b"2")], [("b", b"2"), ("a", b"1")]
    file = io.BytesIO()
    write_bundle(file, (member for member in good))
    assert file.getvalue() == written(dict(good))
    with pytest.raises(BundleError, match="ascending"):
        write_bundle(io.BytesIO(), (member for member in late))


def test_a_member_over_its_limit_is_not_read() -> None:
    reader = BundleReader(io.BytesIO(written(MEMBERS)))
    with pytest.raises(BundleError, match="more than"):
        reader.read("checkpoint", 4)
    with pytest.raises(MissingMemberError):
        reader.read("tile/1/000.p/1")
    assert "checkpoint" in reader
    assert "tile/1/000.p/1" not in reader


def test_more_members_than_sixteen_bits_count() -> None:
    file = io.BytesIO()
    writer = BundleWriter(file)
    for number in range(70_000):
        writer.add(f"{number:05d}", b"")
    writer.close()
    reader = BundleReader(file)
    assert len(reader.names) == 70_000
    assert reader.read("69999") == b""
    with zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 70_000


def test_offsets_over_thirty_two_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wide form of an offset, reached early by lowering the limit; zipfile reads it too."""
    monkeypatch.setattr(bundles, "_LIMIT32", 60)
    # The sentinel in the narrow fields is then 60 rather than all ones: only our own reader, under
    # the same limit, can be held against it.
    members = {f"m{number}": b"x" * 20 for number in range(5)}
    raw = written(members)
    assert b"PK\6\6" in raw
    assert opened(raw) == members


def test_a_directory_that_promises_too_much_is_refused_before_memory_is_spent() -> None:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 0xFFFFFFF0, 0, 0)
    with pytest.raises(BundleError):
        opened(bytes(64) + end)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2**63, 2**63, 2**62, 2**61)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    with pytest.raises(BundleError):
        opened(wide + locator + end)


def test_a_local_header_that_differs_from_the_directory_is_refused() -> None:
    """Two readings of one file: what a program sees that trusts the local headers."""
    good = written({"a": b"one"})
    with pytest.raises(BundleError, match="header"):
        opened(good[:30] + b"b" + good[31:])


def test_a_wrong_checksum_is_refused() -> None:
    good = written({"a": b"one"})
    crc = struct.pack("<L", zlib.crc32(b"one"))
    with pytest.raises(BundleError, match="checksum"):
        opened(good.replace(crc, b"\1\2\3\4"))


MANIFEST = CaseManifest("ledger.test/hub", STREAM, 9, (3, 5), (0, 1))


def test_a_manifest_round_trips() -> None:
    assert CaseManifest.parse(MANIFEST.encode()) == MANIFEST


@given(mutants(MANIFEST.encode()))
def test_a_manifest_has_one_spelling(raw: bytes) -> None:
    try:
        manifest = CaseManifest.parse(raw)
    except BundleError:
        return
    assert manifest.encode() == raw


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"positions":[3,5]', b'"positions":[5,3]'),
        (b'"positions":[3,5]', b'"positions":[]'),
        (b'"positions":[3,5]', b'"positions":[3,9]'),
        (b'"positions":[3,5]', b'"positions":[true]'),
        (b'"positions":[3,5]', b'"positions":[1,5]'),
        (b'"registrations":[0,1]', b'"registrations":[0,0]'),
        (b'"tree_size":9', b'"tree_size":0'),
        (b'"tree_size":9', b'"tree_size":"9"'),
        (b'"case/', b'"access/'),
        (b'"case/6f1c2d3e', b'"case/6F1C2D3E'),
        (b'"stream":"case', b'"stream":1,"x":"case'),
        (b'"origin":"ledger', b'"origin":" ledger'),
        (b'"origin"', b'"originx"'),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(old: bytes, new: bytes) -> None:
    raw = MANIFEST.encode()
    assert old in raw
    with pytest.raises(BundleError):
        CaseManifest.parse(raw.replace(old, new))


@pytest.mark.parametrize("kind", ["access", "content", "party", "restricted"])
def test_a_manifest_of_another_stream_is_of_a_format_of_its_own(kind: str) -> None:
    """So that whoever verifies cases alone says that it cannot tell, and not that it fails."""
    stream = MANIFEST.stream.replace("case", kind)
    raw = replace(MANIFEST, stream=stream).encode()
    assert b"stream-bundle@v1" in raw
    assert CaseManifest.parse(raw).stream == stream
    for other in (
        raw.replace(b"stream-bundle", b"case-bundle"),
        raw.replace(kind.encode() + b"/", b"case/"),
        raw.replace(kind.encode() + b"/", b"ledger/"),
    ):
        with pytest.raises(BundleError):
            CaseManifest.parse(other)


def test_a_newer_manifest_is_told_apart() -> None:
    raw = MANIFEST.encode().replace(b"case-bundle@v1", b"case-bundle@v2")
    with pytest.raises(UnknownBundleFormatError):
        CaseManifest.parse(raw)


def test_proofs_and_disclosures_round_trip() -> None:
    hashes = [bytes([n]) * 32 for n in range(5)]
    assert decode_proof(encode_proof(hashes)) == hashes
    assert decode_proof(b"") == []
    assert decode_disclosures(encode_disclosures(["a", "b"])) == ["a", "b"]


@pytest.mark.parametrize(
    "raw",
    [
        b"x",
        b"\n",
        b"AAAA\n",
        encode_proof([bytes(32)])[:-1],
        encode_proof([bytes(32)]).replace(b"=", b""),
        encode_proof([bytes(32)] * 65),
        encode_proof([bytes(32)]).replace(b"AAA=", b"AAB="),
    ],
)
def test_a_proof_that_is_wrong_is_refused(raw: bytes) -> None:
    with pytest.raises(BundleError):
        decode_proof(raw)


@pytest.mark.parametrize("raw", [b"", b"a", "\u00e9\n".encode()])
def test_disclosures_that_are_no_lines_of_ascii_are_refused(raw: bytes) -> None:
    with pytest.raises(BundleError):
        decode_disclosures(raw)


def test_a_case_bundle_holds_what_its_manifest_lists() -> None:
    entries: dict[int, tuple[bytes, list[bytes]]] = {
        place: (b"{}", [bytes(32)]) for place in (0, 1, 3, 5)
    }
    file = io.BytesIO()
    write_case_bundle(file, MANIFEST, b"checkpoint\n", entries, {3: ["abc"], 5: []})
    assert list(opened(file.getvalue())) == [
        "checkpoint",
        "disclosures/000000000003",
        *(f"entries/{place:012d}" for place in (0, 1, 3, 5)),
        "manifest.json",
        *(f"proofs/{place:012d}" for place in (0, 1, 3, 5)),
    ]
    for wrong in ({3: entries[3]}, {**entries, 7: entries[3]}):
        with pytest.raises(BundleError):
            write_case_bundle(io.BytesIO(), MANIFEST, b"", wrong)
    with pytest.raises(BundleError):
        write_case_bundle(io.BytesIO(), MANIFEST, b"", entries, {7: ["abc"]})
