"""Registered schemas: what the log says of its types, and entries held against it."""

import copy
import itertools
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_verifier.formats.entry import STREAM_KINDS, decode
from ledger_verifier.formats.errors import EntryError
from ledger_verifier.meaning.schemas import (
    MAX_LIST,
    RESERVED_TYPES,
    SEALED_CLASSES,
    Registry,
    kind_check,
    parse_registration,
)
from tests.vectors import load, name_of
from tests.vectors.entries_base import put

VECTORS = load("entries/schemas.json")
LOG = [
    case["text"].encode()
    for case in load("entries/entries.json")["good"]
    if case["name"].startswith("position-")
]
KINDS = VECTORS["kinds"]

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CODES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)


def read_log() -> Registry:
    """The registry after the whole log, every entry held against what came before it."""
    registry = Registry()
    for raw in LOG:
        entry = decode(raw)
        registry.check(entry)
        if entry["type"] == "schema.registered":
            registry.learn(entry)
    return registry


def test_the_log_reads_in_order() -> None:
    registry = read_log()
    assert registry.knows("example.noted", 1)
    assert registry.knows("example.measured", 2)
    assert not registry.knows("example.measured", 1)
    assert not registry.knows("example.drawn", 1)
    assert all(registry.knows(reserved, 1) for reserved in RESERVED_TYPES)
    assert registry.get("ledger.opened", 1) is None
    noted = registry.get("example.noted", 1)
    assert noted is not None
    assert (noted.streams, noted.occurred, noted.recipient) == (frozenset({"case"}), "date", False)
    assert noted.sealed == {"reason": "personal"}
    assert set(noted.open) == set(noted.checks) == {"flagged", "purpose"}


def test_a_type_is_not_used_before_it_is_registered() -> None:
    for raw in LOG[5:]:
        with pytest.raises(EntryError, match="not registered in this log"):
            Registry().check(decode(raw))


def test_a_schema_is_registered_once() -> None:
    registry = read_log()
    for raw in LOG[1:5]:
        with pytest.raises(EntryError, match="registered already"):
            registry.learn(decode(raw))


@pytest.mark.parametrize("case", VECTORS["registrations"]["good"], ids=name_of)
def test_good_registrations(case: dict[str, Any]) -> None:
    entry, registry = decode(case["text"].encode()), read_log()
    registry.check(entry)
    learned = registry.learn(entry)
    assert registry.get(entry["data"]["type"], entry["data"]["schema"]) is learned


@pytest.mark.parametrize("case", VECTORS["registrations"]["bad"], ids=name_of)
def test_bad_registrations(case: dict[str, Any]) -> None:
    entry, registry = decode(case["text"].encode()), read_log()
    registry.check(entry)
    with pytest.raises(EntryError, match=re.escape(case["says"])):
        registry.learn(entry)
    assert not registry.knows("example.measured", 3)


@pytest.mark.parametrize("case", VECTORS["entries"]["good"], ids=name_of)
def test_good_entries(case: dict[str, Any]) -> None:
    read_log().check(decode(case["text"].encode()))


@pytest.mark.parametrize("case", VECTORS["entries"]["bad"], ids=name_of)
def test_bad_entries(case: dict[str, Any]) -> None:
    entry = decode(case["text"].encode())
    with pytest.raises(EntryError, match=re.escape(case["says"])) as caught:
        read_log().check(entry)
    for held in ("enforcement", "example-", "police", '"red"', "colour"):
        assert held not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS["good"])
def test_kinds(kind: str) -> None:
    check = kind_check(kind)
    assert [value for value in KINDS["good"][kind]["accepts"] if not check(value)] == []
    assert [value for value in KINDS["good"][kind]["refuses"] if check(value)] == []


@pytest.mark.parametrize("kind", KINDS["bad"], ids=repr)
def test_bad_kinds(kind: str) -> None:
    with pytest.raises(EntryError, match=r"^(open field has an unknown kind|a code)"):
        kind_check(kind)


BASES = ("uuid", "date", "instant", "count", "flag", "sha256")
SAMPLES: dict[str, list[Any]] = {base: KINDS["good"][base]["accepts"] for base in BASES}


@pytest.mark.parametrize(
    ("base", "is_list", "nullable"), list(itertools.product(BASES, (False, True), (False, True)))
)
def test_the_grammar_of_kinds(base: str, is_list: bool, nullable: bool) -> None:
    """Every base, as a list or not, nullable or not, against values of every base."""
    check = kind_check(base + "[]" * is_list + "?" * nullable)
    assert check(None) is nullable
    for other, values in SAMPLES.items():
        for value in values:
            good = other == base
            assert check(value) is (good and not is_list)
            assert check([value]) is (good and is_list)
            assert check([value] * MAX_LIST) is (good and is_list)
            assert not check([value] * (MAX_LIST + 1))
            assert not check([[value]])
            assert not check({"x": value})
    assert check([]) is is_list
    assert not check([None])


@given(st.lists(CODES, min_size=1, max_size=6, unique=True), CODES | ANYTHING)
def test_a_code_is_one_of_those_listed(values: list[str], value: Any) -> None:
    listed = "|".join(values)
    assert kind_check(f"code:{listed}")(value) is (value in values)
    assert kind_check(f"code?:{listed}")(value) is (value is None or value in values)
    assert kind_check(f"code[]:{listed}")([value]) is (value in values)
    assert all(map(kind_check(f"code:{listed}"), values))
    with pytest.raises(EntryError, match="twice"):
        kind_check(f"code:{listed}|{values[0]}")


@settings(max_examples=150)
@given(
    st.text(max_size=12)
    | st.text(st.sampled_from("codeuidatflg[]?:|-a1\n"), max_size=12)
    | st.lists(
        st.sampled_from([*BASES, "code", "[]", "?", ":", "a", "|", "-", "b"]), max_size=6
    ).map("".join)
)
def test_arbitrary_kinds(kind: str) -> None:
    """Against the grammar written out a second time."""
    head, colon, values = kind.partition(":")
    base = head.removesuffix("?").removesuffix("[]")
    code = re.compile(r"[a-z0-9]|[a-z0-9][a-z0-9-]{0,62}[a-z0-9]")
    listed = values.split("|")
    if base == "code":
        good = bool(colon) and all(map(code.fullmatch, listed)) and len(set(listed)) == len(listed)
    else:
        good = base in BASES and not colon
    if good:
        kind_check(kind)
    else:
        with pytest.raises(EntryError):
            kind_check(kind)


REGISTRATION = decode(LOG[2])["data"]


@settings(max_examples=100)
@given(st.sampled_from(sorted(REGISTRATION)), ANYTHING)
def test_any_value_in_a_registration_is_refused_or_understood(name: str, value: Any) -> None:
    data = {**copy.deepcopy(REGISTRATION), name: value}
    try:
        registration = parse_registration(data)
    except EntryError:
        return
    assert registration.streams <= STREAM_KINDS
    assert set(registration.sealed.values()) <= SEALED_CLASSES
    assert set(registration.checks) == set(registration.open)


@settings(max_examples=100)
@given(
    st.sampled_from([raw.decode() for raw in (LOG[0], *LOG[5:])]),
    st.sampled_from(["source", "organisation", "hub", "actor", "submitted_by", "regime", "type"])
    | st.sampled_from(["schema", "occurred_at", "stream.kind", "data._sd"])
    | st.sampled_from(sorted(json.loads(LOG[6])["data"])).map("data.{}".format)
    | st.sampled_from(["data.origin", "data.keys", "data.predecessor"]),
    ANYTHING,
)
def test_any_value_in_an_entry_is_refused_or_of_its_kind(text: str, path: str, value: Any) -> None:
    """Nothing but EntryError escapes, and what passes agrees with the registration."""
    registry = read_log()
    try:
        entry = decode(put(text, path, value).encode("utf-8", "replace"))
        registry.check(entry)
    except EntryError:
        return
    registration = registry.get(entry["type"], entry["schema"])
    if registration is None:
        assert entry["type"] in RESERVED_TYPES
        return
    assert entry["data"].keys() == {"_sd", *registration.open}
    for name, kind in registration.open.items():
        assert kind_check(kind)(entry["data"][name])


@pytest.mark.parametrize("position", [0, 5, 6, 7, 8])
def test_no_open_field_may_be_left_out_or_renamed(position: int) -> None:
    registry, entry = read_log(), decode(LOG[position])
    for name in entry["data"].keys() - {"_sd"}:
        without = {key: value for key, value in entry["data"].items() if key != name}
        for data in (without, {**without, name + "x": entry["data"][name]}):
            with pytest.raises(EntryError):
                registry.check({**entry, "data": data})
