"""Entries: one spelling, every member of its form, and nothing but EntryError for the rest."""

import copy
import json
import re
import unicodedata
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_verifier.formats import entry as entries
from ledger_verifier.formats import errors
from ledger_verifier.formats.entry import StreamRef, canonical, decode, encode, load_canonical
from ledger_verifier.formats.errors import EntryError, UnknownFormatError
from ledger_verifier.formats.merkle import leaf_hash
from tests.vectors import load, name_of
from tests.vectors.entries_base import entry_bytes, put
from tests.verifier.formats.hostile import mutants

VECTORS = load("entries/entries.json")
GOOD = {case["name"]: entry_bytes(case) for case in VECTORS["good"]}
NOTED = GOOD["position-5"]
MEASURED = GOOD["position-6"]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NFC = TEXT.map(lambda text: unicodedata.normalize("NFC", text))
INTEGERS = st.integers(1 - 2**53, 2**53 - 1)
NAMES = st.text(st.characters(max_codepoint=127), max_size=8)
ALLOWED = st.recursive(
    st.none() | st.booleans() | INTEGERS | NFC,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
#: What a hostile writer may put anywhere: what an entry allows, and what JSON allows beyond it.
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NAN = float("nan")
PATHS = [
    *(name for name in json.loads(MEASURED)),
    *(f"stream.{name}" for name in ("id", "kind", "previous", "version")),
    "data._sd",
    "data.purpose",
]


@pytest.mark.parametrize("case", VECTORS["good"], ids=name_of)
def test_good_entries(case: dict[str, Any]) -> None:
    raw = entry_bytes(case)
    assert encode(decode(raw)) == raw
    assert decode(raw) == json.loads(raw)
    assert leaf_hash(raw).hex() == case["leaf_hash"]
    assert entries.link_hash(raw).hex() == case["link_hash"]


@pytest.mark.parametrize("case", VECTORS["bad"], ids=name_of)
def test_bad_entries(case: dict[str, Any]) -> None:
    with pytest.raises(EntryError, match=re.escape(case["says"])) as caught:
        decode(entry_bytes(case))
    assert type(caught.value) is getattr(errors, case["error"])
    for held in ("ca4659d1", "example-", "E0900", "QNk3fiQ1F205", '"red"', "colour", "clé"):
        assert held not in str(caught.value)


@given(ALLOWED)
def test_canonical_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)
    assert load_canonical(canonical(value)) == value


@given(ANYTHING)
def test_what_is_read_is_what_rfc_8785_would_write(value: Any) -> None:
    raw = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    try:
        read = load_canonical(raw)
    except EntryError:
        return
    assert rfc8785.dumps(read) == raw


@given(st.text(st.sampled_from('ae\u0301\u0303\u0323\n\x1f\t"\\\u1100\u1161<\u0338'), max_size=6))
def test_a_string_is_accepted_just_when_it_is_normalised(text: str) -> None:
    """Also where an escape in the bytes makes a combining mark follow a letter."""
    raw = canonical({"x": [text]})
    if unicodedata.is_normalized("NFC", text):
        assert load_canonical(raw) == {"x": [text]}
    else:
        with pytest.raises(EntryError, match="NFC"):
            load_canonical(raw)


@given(st.dictionaries(NAMES.filter(lambda name: name != "_sd"), ALLOWED, max_size=5))
def test_data_round_trips(fields: dict[str, Any]) -> None:
    entry = {**json.loads(NOTED), "data": {**fields, "_sd": []}}
    raw = encode(entry)
    assert decode(raw) == entry
    assert raw == rfc8785.dumps(entry)


@pytest.mark.parametrize("value", [2**53, -(2**53), "\ud800", {1: 2}, object(), b"", {"a": {1}}])
def test_what_json_cannot_hold_is_not_written(value: Any) -> None:
    with pytest.raises(EntryError, match="canonical JSON"):
        canonical(value)


@pytest.mark.parametrize("value", [1.0, NAN, {"x": [NAN]}, "e\u0301", {"é": 1}, (1,), 10**400])
def test_what_an_entry_may_not_hold_is_not_encoded(value: Any) -> None:
    entry = json.loads(NOTED)
    entry["data"]["pad"] = value
    with pytest.raises(EntryError):
        encode(entry)


def test_a_cycle_is_not_encoded() -> None:
    entry = json.loads(NOTED)
    entry["data"]["pad"] = entry
    with pytest.raises(EntryError):
        encode(entry)


def test_no_other_byte_in_any_place_gives_the_same_content() -> None:
    """Every byte replaced by every other, and every byte left out."""
    good = decode(NOTED)
    accepted = 0
    for place in range(len(NOTED)):
        before, after = NOTED[:place], NOTED[place + 1 :]
        for byte in range(256):
            raw = before + bytes([byte]) + after
            if byte != NOTED[place]:
                accepted += differs(raw, good)
        accepted += differs(before + after, good)
    # Digits and letters of ids, digests, times and names are free.
    assert accepted > 1000


def differs(raw: bytes, good: dict[str, Any]) -> bool:
    try:
        entry = decode(raw)
    except EntryError:
        return False
    assert entry != good
    assert canonical(entry) == raw
    return True


@settings(max_examples=200)
@given(st.sampled_from([NOTED, MEASURED, GOOD["beyond-ascii"]]).flatmap(mutants))
def test_a_mutant_is_refused_or_is_its_own_only_spelling(raw: bytes) -> None:
    try:
        entry = decode(raw)
    except EntryError:
        return
    assert encode(entry) == raw


@given(st.binary(max_size=200))
def test_arbitrary_bytes(raw: bytes) -> None:
    with pytest.raises(EntryError):
        decode(raw)


@settings(max_examples=250)
@given(st.sampled_from(PATHS), ANYTHING)
def test_any_value_in_any_place_is_refused_or_its_own_only_spelling(path: str, value: Any) -> None:
    try:
        raw = put(MEASURED.decode(), path, value).encode()
    except UnicodeEncodeError:
        return
    try:
        entry = decode(raw)
    except EntryError:
        return
    assert encode(entry) == raw


@pytest.mark.parametrize("path", PATHS[:-1])
@pytest.mark.parametrize(
    "value",
    [[], {}, [[]], [{}], {"a": []}, True, 0, -1, 2**53 - 1, "", "\x00", "Null", "\n"],
    ids=repr,
)
def test_a_value_of_another_type_is_refused_in_every_place(path: str, value: Any) -> None:
    raw = put(MEASURED.decode(), path, value).encode()
    if (path, value) in (("data._sd", []), ("stream.version", 2**53 - 1)):
        assert encode(decode(raw)) == raw
    else:
        with pytest.raises(EntryError):
            decode(raw)


STRINGS = {
    "id": entries.is_uuid,
    "type": entries.is_type_name,
    "recorded_at": entries.is_instant,
    "source": entries.is_code,
    "organisation": entries.is_code,
    "hub": entries.is_hub,
    "actor": entries.is_uuid,
    "submitted_by": entries.is_uuid,
}
HELD = sorted({value for value in json.loads(MEASURED).values() if type(value) is str})


@settings(max_examples=250)
@given(st.sampled_from(sorted(STRINGS)), st.data())
def test_the_envelope_is_accepted_just_when_each_member_is_of_its_form(
    name: str, data: st.DataObject
) -> None:
    """The members are matched together; here each is held against its own rule."""
    entry = copy.deepcopy(decode(MEASURED))
    value = data.draw(
        st.sampled_from(HELD).flatmap(lambda held: mutants(held.encode()))
        | st.sampled_from([text.encode() for text in HELD])
    ).decode("utf-8", "replace")
    entry[name] = unicodedata.normalize("NFC", value)
    if STRINGS[name](entry[name]):
        assert decode(encode(entry)) == entry
    else:
        with pytest.raises(EntryError, match=f"^{name} is not well formed$"):
            encode(entry)


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (entries.is_uuid, "b39b14e9-3624-46a0-962e-f27154ef6e27"),
        (entries.is_code, "lewisham-council"),
        (entries.is_hub, "E09000023"),
        (entries.is_hub, "central"),
        (entries.is_type_name, "data.disclosed"),
        (entries.is_type_name, "case_file.handed_over"),
        (entries.is_digest, "A" * 43),
        (entries.is_hex64, "0" * 64),
        (entries.is_day, "2024-02-29"),
        (entries.is_instant, "2024-02-29T23:59:59.999Z"),
    ],
)
def test_forms(check: Any, good: str) -> None:
    assert check(good)
    bad: list[object] = [
        good + "\n",
        " " + good,
        good + " ",
        good + "\u0660",
        "",
        None,
        1,
        [good],
        {},
    ]
    assert [value for value in bad if check(value)] == []


def test_sizes() -> None:
    assert len(GOOD["65535-bytes"]) == entries.MAX_ENTRY
    for raw in (b"", GOOD["65535-bytes"] + b"x", b"x" * 10_000_000):
        with pytest.raises(EntryError, match="1 to 65535 bytes"):
            decode(raw)


@pytest.mark.parametrize("unit", [b"[", b'{"":', b'[{"a":', b'"\\', b"-", b"1"])
def test_deep_or_endless_input(unit: bytes) -> None:
    for times in (10, 300, 60_000 // len(unit)):
        with pytest.raises(EntryError):
            decode(unit * times)


def test_an_unknown_format_is_told_apart_only_in_a_canonical_entry() -> None:
    newer = NOTED.replace(b"entry@v1", b"entry@v2")
    with pytest.raises(UnknownFormatError):
        decode(newer)
    with pytest.raises(UnknownFormatError):
        decode(b'{"format":""}')
    with pytest.raises(EntryError, match="canonical"):
        decode(newer + b"\n")


def test_stream_references() -> None:
    text = "case/b39b14e9-3624-46a0-962e-f27154ef6e27"
    assert StreamRef.parse(text).text == text
    assert StreamRef.parse(text) == StreamRef("case", text[5:])
    for bad in (
        "",
        "case",
        "/",
        text + "/",
        text.upper(),
        "person" + text[4:],
        text[5:],
        text + "\n",
    ):
        with pytest.raises(EntryError):
            StreamRef.parse(bad)
