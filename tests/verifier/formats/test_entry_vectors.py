"""The vectors of entries, disclosures and bundles, checked with the standard library alone.

`json`, `hashlib`, `base64`, `struct` and `zipfile` stand in for the verifier: nothing of it takes
part here but the comparison of the committed files with what the script makes. A Merkle root is
computed from the definition in RFC 6962.
"""

import base64
import hashlib
import io
import json
import re
import struct
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.vectors import load, make_entries, name_of
from tests.vectors.entries_base import entry_bytes

ENTRIES = load("entries/entries.json")
DISCLOSURES = load("entries/disclosures.json")
SCHEMAS = load("entries/schemas.json")
BUNDLES = load("entries/bundles.json")
SEALED = load("entries/sealed.json")
DOCS = Path(__file__).resolve().parents[3] / "docs" / "formats.md"
LOG = [case for case in ENTRIES["good"] if case["name"].startswith("position-")]


def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def no_float(text: str) -> None:
    raise AssertionError(text)


def plain(raw: bytes) -> Any:
    """Parse strictly, and hold the bytes against the canonical ones."""
    value = json.loads(
        raw.decode(),
        object_pairs_hook=no_duplicates,
        parse_float=no_float,
        parse_constant=no_float,
    )
    again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert again.encode() == raw
    return value


def unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


def test_the_committed_vectors_are_what_the_script_makes() -> None:
    for name, text in make_entries.build().items():
        assert (make_entries.HERE / name).read_text("utf-8") == text
    assert {path.name for path in make_entries.HERE.iterdir()} == set(make_entries.build())


def test_every_defect_has_a_name_of_its_own() -> None:
    good = {entry_bytes(case) for case in ENTRIES["good"]}
    for cases in (ENTRIES["bad"], SCHEMAS["registrations"]["bad"], SCHEMAS["entries"]["bad"]):
        assert len({case["name"] for case in cases}) == len(cases)
        assert good.isdisjoint(entry_bytes(case) for case in cases)
        assert len({entry_bytes(case) for case in cases}) == len(cases)


@pytest.mark.parametrize("case", ENTRIES["good"], ids=name_of)
def test_good_entries(case: dict[str, Any]) -> None:
    raw = entry_bytes(case)
    entry = plain(raw)
    assert len(raw) <= 65_535
    assert len(entry) == 16
    assert entry["data"]["_sd"] == sorted(set(entry["data"]["_sd"]))
    assert all(len(base64.urlsafe_b64decode(text + "=")) == 32 for text in entry["data"]["_sd"])
    for value in re.findall(r'"((?:[^"\\]|\\.)*)"', raw.decode()):
        assert unicodedata.is_normalized("NFC", json.loads(f'"{value}"'))
    assert hashlib.sha256(b"\x00" + raw).hexdigest() == case["leaf_hash"]
    assert hashlib.sha256(b"\x02" + raw).hexdigest() == case["link_hash"]


def test_the_streams_of_the_log_are_chains() -> None:
    heads: dict[str, tuple[int, str | None]] = {}
    recorded = ""
    for case in LOG:
        entry = plain(entry_bytes(case))
        stream = entry["stream"]
        version, link = heads.get(stream["id"], (0, None))
        assert (stream["version"], stream["previous"]) == (version + 1, link)
        assert entry["recorded_at"] >= recorded
        heads[stream["id"]] = (version + 1, case["link_hash"])
        recorded = entry["recorded_at"]
    assert sorted(version for version, _ in heads.values()) == [1, 3, 5]


@pytest.mark.parametrize("case", DISCLOSURES["good"], ids=name_of)
def test_good_disclosures(case: dict[str, Any]) -> None:
    array = base64.urlsafe_b64decode(case["text"] + "=" * (-len(case["text"]) % 4))
    assert array.decode() == case["json"]
    assert plain(array) == [case["salt"], case["field"], case["value"]]
    assert len(base64.urlsafe_b64decode(case["salt"] + "=")) == 32
    assert unpadded(hashlib.sha256(case["text"].encode("ascii")).digest()) == case["digest"]


def test_every_digest_of_the_log_is_opened_by_one_disclosure() -> None:
    opened = {case["digest"]: case for case in DISCLOSURES["good"]}
    assert len({case["salt"] for case in opened.values()}) == len(DISCLOSURES["good"])
    registered = {}
    for case in LOG:
        entry = plain(entry_bytes(case))
        if entry["type"] == "schema.registered":
            registered[entry["data"]["type"]] = entry["data"]
            continue
        sealed = registered.get(entry["type"], {"sealed": {}})["sealed"]
        fields = {opened[digest]["field"] for digest in entry["data"]["_sd"]}
        assert fields == set(sealed)


def members(bundle: dict[str, Any]) -> dict[str, bytes]:
    raw = base64.b64decode(bundle["base64"], validate=True)
    assert hashlib.sha256(raw).hexdigest() == bundle["sha256"]
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist()) == bundle["members"]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_log_bundle_is_the_log() -> None:
    held = members(BUNDLES["log"])
    bundle, entries = held["tile/entries/000.p/9"], []
    while bundle:
        (length,) = struct.unpack(">H", bundle[:2])
        entries.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    assert entries == [entry_bytes(case) for case in LOG]
    leaves = [hashlib.sha256(b"\x00" + raw).digest() for raw in entries]
    assert held["tile/0/000.p/9"] == b"".join(leaves)
    origin, size, base64_root = held["checkpoint"].decode().splitlines()[:3]
    assert (origin, size) == (BUNDLES["origin"], "9")
    assert base64.b64decode(base64_root) == root(leaves) == bytes.fromhex(BUNDLES["root"])


def test_the_case_bundle_is_its_share_of_the_log() -> None:
    held = members(BUNDLES["case"])
    manifest = plain(held["manifest.json"])
    assert manifest["format"] == "hub-ledger/case-bundle@v1"
    assert (manifest["positions"], manifest["registrations"]) == ([5, 6, 8], [0, 1, 2, 3])
    assert held["checkpoint"] == members(BUNDLES["log"])["checkpoint"]
    for position in manifest["positions"] + manifest["registrations"]:
        raw = held[f"entries/{position:012d}"]
        assert raw == entry_bytes(LOG[position])
        lines = held[f"proofs/{position:012d}"].decode().splitlines()
        assert climb(raw, position, 9, lines) == bytes.fromhex(BUNDLES["root"])
        for text in held.get(f"disclosures/{position:012d}", b"").decode().splitlines():
            digest = unpadded(hashlib.sha256(text.encode()).digest())
            assert digest in plain(raw)["data"]["_sd"]


def climb(raw: bytes, index: int, size: int, lines: list[str]) -> bytes:
    """RFC 9162 section 2.1.3.2."""
    fn, sn = index, size - 1
    node = hashlib.sha256(b"\x00" + raw).digest()
    for line in lines:
        sibling = base64.b64decode(line, validate=True)
        assert sn > 0
        if fn & 1 or fn == sn:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return node


def test_sealed_rows_are_bound_as_documented() -> None:
    for row in SEALED["rows"]:
        parts = [SEALED["origin"], SEALED["source"], SEALED["id"], SEALED["stream"]]
        expected = b"".join(
            struct.pack(">I", len(part)) + part.encode()
            for part in ("hub-ledger/sealed@v1", *parts, row["key_class"])
        )
        assert bytes.fromhex(row["associated_data"]) == expected
        texts = {case["text"] for case in DISCLOSURES["good"]}
        assert set(row["plaintext"].split("\n")) <= texts
        assert len(row["row"]) // 2 == 12 + len(row["plaintext"]) + 16


def test_the_worked_examples_of_the_documentation_are_the_vectors() -> None:
    text = DOCS.read_text("utf-8")
    noted = LOG[5]
    opened = DISCLOSURES["good"][0]
    registered = json.loads(entry_bytes(LOG[1]))["data"]
    fold = re.sub(r"\s+", "", text)
    for value in (
        noted["text"],
        noted["leaf_hash"],
        noted["link_hash"],
        opened["json"],
        opened["text"],
        opened["digest"],
        json.dumps(registered, sort_keys=True, ensure_ascii=False),
        members(BUNDLES["case"])["manifest.json"].decode(),
        BUNDLES["case"]["sha256"],
        BUNDLES["log"]["sha256"],
        SEALED["rows"][1]["associated_data"],
        SEALED["rows"][1]["key"],
        SEALED["rows"][1]["row"],
    ):
        assert re.sub(r"\s+", "", value) in fold
    assert json.loads(entry_bytes(LOG[6]))["stream"]["previous"] == noted["link_hash"]
