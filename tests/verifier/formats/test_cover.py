"""The cover of a pack: one spelling, and a digest over every other member."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_verifier.formats.cover import (
    AUDITOR,
    COVER,
    FORMAT,
    SUBJECT,
    WORDS,
    Cover,
    CoverError,
    digest_of,
    is_nonce_member,
)
from ledger_verifier.formats.note import Ed25519Signer, Note, is_signed_by

PERSONS = Cover(
    "ledger.example/hub",
    SUBJECT,
    "person",
    "rights-request",
    "2026-03-01T09:00:00.000Z",
    "2026-05-30",
    "ab" * 32,
)
WRONG = {
    "origin": ("", "two words", "a+b"),
    "audience": ("public", ""),
    "recipient": ("A Person", "", "x"),
    "purpose": ("Curiosity", ""),
    "made_at": ("2026-03-01", "2026-13-01T09:00:00.000Z"),
    "expires_on": ("2026-02-30", "soon"),
    "members": ("AB" * 32, "ab" * 31, ""),
}


def rewritten(name: str, value: str) -> str:
    """The text of a cover with one fact replaced, written without any check."""
    lines = PERSONS.text.split("\n")
    places = ["origin", "audience", "recipient", "purpose", "made_at", "expires_on", "members"]
    place = places.index(name) + 1
    prefix = "" if place == 1 else lines[place].partition(" ")[0] + " "
    lines[place] = prefix + value
    return "\n".join(lines)


@pytest.mark.parametrize("audience", WORDS)
def test_a_cover_reads_as_it_was_written(audience: str) -> None:
    cover = replace(PERSONS, audience=audience)
    assert Cover.parse(cover.text) == cover


def test_every_malformed_fact_is_refused() -> None:
    for name, values in WRONG.items():
        for value in values:
            with pytest.raises(CoverError):
                Cover.parse(rewritten(name, value))


def test_words_may_not_be_changed_added_or_left_out() -> None:
    text = PERSONS.text
    assert "left out" in text
    for changed in (
        text.replace("left out", "hidden"),
        text + "Nothing was left out.\n",
        text.rpartition("If you are")[0],
        text.replace(f"for {SUBJECT}", f"for {AUDITOR}"),
        text.replace(FORMAT, "hub-ledger/cover@v2"),
        text[:40],
        "",
    ):
        with pytest.raises(CoverError):
            Cover.parse(changed)


def test_a_nonce_has_one_spelling() -> None:
    assert is_nonce_member(b"A" * 22 + b"\n")
    for raw in (
        b"",
        b"A" * 22,
        b"A" * 21 + b"B\n",
        b"A" * 22 + b"\r\n",
        b"A" * 22 + b"\n\n",
        b"\xff",
    ):
        assert not is_nonce_member(raw)


@given(st.text(max_size=400))
def test_anything_else_is_refused_and_nothing_worse(text: str) -> None:
    with pytest.raises(CoverError):
        Cover.parse(text)


def test_the_digest_covers_names_and_contents_and_not_the_cover() -> None:
    members = [("b", b"2"), ("a", b"1"), (COVER, b"any")]
    digest = digest_of(members)
    assert digest == digest_of([("a", b"1"), ("b", b"2")])
    for changed in (
        [("a", b"1")],
        [("a", b"2"), ("b", b"1")],
        [("a", b"1"), ("c", b"2")],
        [("a", b"1"), ("b", b"2"), ("c", b"")],
    ):
        assert digest_of(changed) != digest


def test_a_note_is_signed_by_the_key_that_signed_it_alone() -> None:
    signer, other = (Ed25519Signer.generate(PERSONS.origin) for _ in range(2))
    note = Note(PERSONS.text, (signer.sign(PERSONS.text),))
    assert is_signed_by(note, signer.key)
    assert not is_signed_by(note, other.key)
    assert not is_signed_by(Note(PERSONS.text + "x\n", note.signatures), signer.key)
    forged = replace(note.signatures[0], signature=bytes(64))
    assert not is_signed_by(Note(PERSONS.text, (*note.signatures, forged)), signer.key)
