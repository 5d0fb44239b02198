"""Disclosures: one digest each, one spelling each, and what RFC 9901 says a digest is."""

import base64
import hashlib
import re
import unicodedata
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_verifier.formats.disclosure import (
    MAX_TEXT,
    Disclosure,
    b64url,
    b64url_decode,
    commit,
    digest_of,
)
from ledger_verifier.formats.entry import is_digest
from ledger_verifier.formats.errors import DisclosureError, FormatError
from tests.vectors import load, name_of, raw
from tests.verifier.formats.hostile import mutants

VECTORS = load("entries/disclosures.json")
GOOD = [case["text"] for case in VECTORS["good"]]
SALT = "A" * 43

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NFC = TEXT.map(lambda text: unicodedata.normalize("NFC", text))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | NFC,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


def written(value: Any) -> str:
    return base64.urlsafe_b64encode(rfc8785.dumps(value)).decode().rstrip("=")


def commitment(text: str) -> str:
    """RFC 9901 section 4.2.3, in other words than the code's."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().strip("=")


@pytest.mark.parametrize("case", VECTORS["good"], ids=name_of)
def test_good_disclosures(case: dict[str, Any]) -> None:
    disclosure = Disclosure.parse(case["text"])
    assert disclosure == Disclosure(case["salt"], case["field"], case["value"], case["text"])
    assert disclosure.digest == digest_of(case["text"]) == case["digest"]
    assert b64url_decode(case["text"]).decode() == case["json"]


@pytest.mark.parametrize("case", VECTORS["bad"], ids=name_of)
def test_bad_disclosures(case: dict[str, Any]) -> None:
    with pytest.raises(DisclosureError, match=r"^(disclosure|not)( \w+)+") as caught:
        Disclosure.parse(raw(case).decode())
    for held in ("Referred", "naïve", "caf", SALT[:9], "clé"):
        assert held not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (
            "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
            "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0",
        ),
        (
            "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
            "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4",
        ),
    ],
)
def test_the_digests_in_rfc_9901(text: str, digest: str) -> None:
    """Sections 4.2.3 and 5.1. As disclosures of ours they are refused: spaces, short salts."""
    assert digest_of(text) == digest
    with pytest.raises(DisclosureError):
        Disclosure.parse(text)


@given(NAMES, VALUES)
def test_made_and_read(name: str, value: Any) -> None:
    made = Disclosure.make(name, value)
    assert Disclosure.parse(made.text) == made
    assert (made.name, made.value) == (name, value)
    assert made.text == written([made.salt, name, value])
    assert made.digest == commitment(made.text)
    assert is_digest(made.digest)
    assert is_digest(made.salt)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_several_at_once(fields: list[tuple[str, Any]]) -> None:
    made = commit(iter(fields))
    assert [(item.name, item.value) for item in made] == fields
    assert [Disclosure.parse(item.text) for item in made] == made
    assert [item.text for item in made] == [written([d.salt, d.name, d.value]) for d in made]


@given(st.text(st.sampled_from("\n\t\x00\u0301\u0303nae"), max_size=6))
def test_text_with_marks_after_control_characters_is_not_lost(text: str) -> None:
    """A combining mark that begins a line composes with nothing, though its bytes follow an n."""
    value = unicodedata.normalize("NFC", text)
    assert Disclosure.parse(Disclosure.make("reason", value).text).value == value


@pytest.mark.parametrize(
    "value",
    [1.0, 1.5, float("nan"), 2**53, "e\u0301", "\ud800", {"é": 1}, (1, 2), b"x", object(), {1: 2}],
    ids=range(11),
)
def test_what_could_not_be_read_back_is_not_made(value: Any) -> None:
    with pytest.raises(FormatError):
        Disclosure.make("reason", value)
    with pytest.raises(FormatError):
        commit([("grounds", None), ("reason", value)])


@pytest.mark.parametrize("name", ["", "_sd", "...", "Reason", "n" * 65, "é", "a-b", "a\n"])
def test_a_name_that_could_not_be_read_back_is_not_made(name: str) -> None:
    for value in (None, "x", 1):
        with pytest.raises(DisclosureError):
            Disclosure.make(name, value)
        with pytest.raises(DisclosureError):
            commit([(name, value)])


def test_sizes() -> None:
    room = MAX_TEXT // 4 * 3 - len(f'["{SALT}","n",""]')
    assert Disclosure.parse(written([SALT, "n", "x" * room])).value == "x" * room
    for text in (written([SALT, "n", "x" * (room + 1)]), "A" * 10_000_000):
        with pytest.raises(DisclosureError, match="too long"):
            Disclosure.parse(text)
    for value in ("x" * (room + 1), "é" * room):
        with pytest.raises(DisclosureError, match="too long"):
            Disclosure.make("n", value)


def test_every_commitment_has_a_salt_of_its_own() -> None:
    made = [Disclosure.make("reason", None) for _ in range(500)]
    made += commit([("reason", None)] * 500)
    assert len({item.salt for item in made}) == len({item.digest for item in made}) == 1000
    assert {len(b64url_decode(item.salt)) for item in made} == {32}


def test_no_other_character_in_any_place_gives_the_same_content() -> None:
    text = GOOD[0]
    good = Disclosure.parse(text)
    alphabet = map(chr, range(33, 127))
    for place, character in ((p, c) for c in alphabet for p in range(len(text))):
        other = text[:place] + character + text[place + 1 :]
        try:
            read = Disclosure.parse(other)
        except DisclosureError:
            continue
        assert other == text or (read.salt, read.name, read.value) != (
            good.salt,
            good.name,
            good.value,
        )
        assert other == written([read.salt, read.name, read.value])


@settings(max_examples=300)
@given(st.sampled_from([text.encode() for text in GOOD]).flatmap(mutants))
def test_a_mutant_is_refused_or_is_its_own_only_spelling(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        read = Disclosure.parse(text)
    except DisclosureError:
        return
    assert text == written([read.salt, read.name, read.value])


@settings(max_examples=300)
@given(st.sampled_from([b64url_decode(text) for text in GOOD]).flatmap(mutants))
def test_a_mutant_of_the_array(data: bytes) -> None:
    text = b64url(data)
    try:
        read = Disclosure.parse(text)
    except DisclosureError:
        return
    assert text == written([read.salt, read.name, read.value])


@given(st.text(max_size=60))
def test_arbitrary_text(text: str) -> None:
    for tried in (text, b64url(text.encode("utf-8", "replace")), text + "\ud800"):
        with pytest.raises(DisclosureError):
            Disclosure.parse(tried)


@given(st.binary(max_size=40))
def test_base64url_has_one_spelling(data: bytes) -> None:
    text = b64url(data)
    assert b64url_decode(text) == data
    assert re.fullmatch(r"[A-Za-z0-9_-]*", text)
    for other in (text + "=", text + "\n", " " + text):
        with pytest.raises(DisclosureError):
            b64url_decode(other)


@pytest.mark.parametrize("text", ["A", "AAAAA", "AB", "AAB", "A+A/", "AA==", "AAA=", "é", "\ud800"])
def test_what_is_no_base64url_is_refused(text: str) -> None:
    with pytest.raises(DisclosureError):
        b64url_decode(text)
