"""Notes, verifier keys and private keys: published ones, defective ones, mutated ones."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales import signing

from ledger_verifier.formats import errors
from ledger_verifier.formats.checkpoint import Ed25519Cosigner, MLDSA44Cosigner
from ledger_verifier.formats.errors import FormatError, NoteError
from ledger_verifier.formats.note import (
    MAX_NOTE,
    SIG_COSIGNATURE_ED25519,
    SIG_ED25519,
    SIG_MLDSA44,
    Ed25519Signer,
    Note,
    SignatureLine,
    VerifierKey,
)
from ledger_verifier.formats.text import MAX_NUMBER, decode_decimal
from tests.vectors import load, make_c2sp, name_of, raw
from tests.vectors.c2sp_base import LOG
from tests.verifier.formats.hostile import mutants

NOTES = load("c2sp/notes.json")
VKEYS = load("c2sp/vkeys.json")
GOOD = raw(NOTES["good"][0])

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: "+" not in name and not any(c.isspace() or c < " " for c in name)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(
    lambda text: "".join(c for c in text if c >= " " or c == "\n") + "\n"
)
lines = st.builds(
    SignatureLine, names, st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=80)
)


def test_the_vectors_are_what_the_script_makes() -> None:
    for name, text in make_c2sp.build().items():
        assert (make_c2sp.HERE / name).read_text("utf-8") == text, name


def test_published_note() -> None:
    vector = load("public/note.json")
    key = VerifierKey.parse(vector["vkey"])
    assert (key.name, key.sig_type, key.key_id) == ("example.com/foo", SIG_ED25519, 0x530D903A)
    assert key.vkey == vector["vkey"]
    note = Note.parse(vector["note"].encode())
    assert note.text == "This is an example message.\n"
    (line,) = note.signatures
    assert (line.name, line.key_id, len(line.signature)) == (key.name, key.key_id, 64)
    Ed25519PublicKey.from_public_bytes(key.public_key).verify(line.signature, note.text.encode())
    assert note.encode() == vector["note"].encode()


def test_published_private_key_reproduces_its_signature() -> None:
    vector = load("public/tessera.json")
    signer = Ed25519Signer.parse(vector["private"])
    assert signer.private_text == vector["private"]
    assert signer.key.vkey == vector["vkey"]
    text, _, line = vector["checkpoint"].partition("\n\n")
    assert signer.sign(text + "\n").encode() + "\n" == line


@pytest.mark.parametrize("case", NOTES["good"], ids=name_of)
def test_good_notes(case: dict[str, Any]) -> None:
    note = Note.parse(raw(case))
    assert note.text == case["body"]
    assert note.encode() == raw(case)


@pytest.mark.parametrize("case", NOTES["bad"], ids=name_of)
def test_bad_notes(case: dict[str, Any]) -> None:
    with pytest.raises(getattr(errors, case["error"])):
        Note.parse(raw(case))


@pytest.mark.parametrize("case", VKEYS["good"], ids=lambda case: str(case["type"]))
def test_good_keys(case: dict[str, Any]) -> None:
    key = VerifierKey.parse(case["vkey"])
    assert (key.vkey, key.sig_type) == (case["vkey"], case["type"])
    theirs = signing.Vkey.from_string(case["vkey"])
    computed = signing.Vkey(theirs.name, None, theirs.sig_type, theirs.pubkey)
    assert f"{key.key_id:08x}" == case["key_id"] == f"{computed.key_id:08x}"


@pytest.mark.parametrize("case", VKEYS["bad"], ids=name_of)
def test_bad_keys(case: dict[str, Any]) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(case["text"])


def test_keys_are_told_apart_by_type_and_name() -> None:
    public = bytes(range(32))
    keys = {
        VerifierKey(name, sig_type, public).key_id
        for name in ("a", "b")
        for sig_type in (SIG_ED25519, SIG_COSIGNATURE_ED25519)
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("name", "sig_type", "size"),
    [
        ("a", 0x02, 91),
        ("a", 0x05, 32),
        ("a", 0xFF, 32),
        ("a", SIG_ED25519, 31),
        ("a", SIG_MLDSA44, 32),
        ("a b", SIG_ED25519, 32),
        ("a+b", SIG_ED25519, 32),
        ("a\u2003b", SIG_ED25519, 32),
        ("a\nb", SIG_ED25519, 32),
        ("a\x00b", SIG_ED25519, 32),
        ("\ud800", SIG_ED25519, 32),
        ("é" * 128, SIG_ED25519, 32),
        ("", SIG_ED25519, 32),
    ],
)
def test_impossible_keys(name: str, sig_type: int, size: int) -> None:
    with pytest.raises(NoteError):
        VerifierKey(name, sig_type, bytes(size))


def test_impossible_lines_and_notes() -> None:
    with pytest.raises(NoteError, match="empty"):
        SignatureLine("a", 1, b"")
    for key_id in (-1, 2**32):
        with pytest.raises(NoteError, match="32-bit"):
            SignatureLine("a", key_id, b"s")
    line = SignatureLine("a", 1, b"s")
    for text in ("", "no newline", "bell \x07\n"):
        with pytest.raises(NoteError):
            Note(text, (line,))
    for count in (0, 65):
        with pytest.raises(NoteError, match="between 1 and 64"):
            Note("text\n", (line,) * count)
    with pytest.raises(NoteError, match="Unicode"):
        Note("\ud800\n", (line,)).encode()


@pytest.mark.parametrize("make", [Ed25519Signer, Ed25519Cosigner, MLDSA44Cosigner])
def test_private_keys(make: type[Ed25519Signer | Ed25519Cosigner | MLDSA44Cosigner]) -> None:
    signer = make.generate("example.com/key")
    again = make.parse(signer.private_text)
    assert again.key == signer.key
    assert again.private_text == signer.private_text
    assert make.generate("example.com/key").key != signer.key
    secret = signer.private_text.split("+", 4)[4]
    assert secret not in repr(signer)
    prefix, name, key_id = "PRIVATE+KEY", "example.com/key", f"{signer.key.key_id:08x}"
    for bad in (
        "",
        secret,
        f"{prefix}+{name}+{key_id}",
        f"{prefix}+{name}+00000000+{secret}",
        f"{prefix}+other+{key_id}+{secret}",
        f"{prefix}+{name}+{key_id.upper()}!+{secret}",
        f"{prefix}+{name}+{key_id}+{secret[:-4]}",
        f"{prefix}+{name}+{key_id}+Aw{secret[2:]}",
        f"{signer.private_text}\n",
    ):
        with pytest.raises(NoteError) as caught:
            make.parse(bad)
        assert secret[:-4] not in str(caught.value)
    with pytest.raises(NoteError, match="32 bytes"):
        make("example.com/key", bytes(31))


def test_a_private_key_of_one_type_is_not_one_of_another() -> None:
    with pytest.raises(NoteError, match="0x01"):
        Ed25519Signer.parse(Ed25519Cosigner.generate("a").private_text)
    with pytest.raises(NoteError, match="0x06"):
        MLDSA44Cosigner.parse(Ed25519Signer.generate("a").private_text)


def test_only_text_that_ends_in_a_newline_is_signed() -> None:
    with pytest.raises(NoteError, match="newline"):
        Ed25519Signer.generate("a").sign("text")


@pytest.mark.parametrize(
    "hostile",
    [
        b"\n" * MAX_NOTE,
        b"\n" * MAX_NOTE + b"\n",
        b"x" * (MAX_NOTE + 1),
        b"t\n\n" + b"\xe2\x80\x94 " * 300_000,
        b"t\n\n" + b"\xe2\x80\x94 a b\n" * 100_000,
        b"t\n\n\xe2\x80\x94 a " + b"A" * 900_000 + b"\n\n",
        b"t\n\n\xe2\x80\x94 " + b"a" * 900_000 + b" AAAAAAA=\n",
        b"\xff" * MAX_NOTE,
    ],
    ids=range(8),
)
def test_hostile_megabytes(hostile: bytes) -> None:
    with pytest.raises(NoteError):
        Note.parse(hostile)


def test_the_size_limit_is_exact() -> None:
    line = SignatureLine("a", 1, b"s")
    largest = Note("x" * (MAX_NOTE - 2 - len(line.encode().encode()) - 1) + "\n", (line,))
    assert len(largest.encode()) == MAX_NOTE
    assert Note.parse(largest.encode()) == largest
    longer = Note("x" + largest.text, (line,))
    with pytest.raises(NoteError, match="longer"):
        longer.encode()
    with pytest.raises(NoteError, match="longer"):
        Note.parse(b"x" + largest.encode())


@pytest.mark.parametrize("text", ["", "00", "01", "+1", "-1", " 1", "1 ", "1\n", "1_0", "٣", "1.0"])
def test_numbers_have_one_spelling(text: str) -> None:
    with pytest.raises(NoteError, match="leading zeros"):
        decode_decimal(text, "a number", NoteError)


def test_the_largest_number() -> None:
    assert decode_decimal(str(2**63 - 1), "a number", NoteError) == MAX_NUMBER
    for text in (str(2**63), str(10**19), "1" + "0" * 5000):
        with pytest.raises(NoteError):
            decode_decimal(text, "a number", NoteError)


@given(texts, st.lists(lines, min_size=1, max_size=64))
def test_round_trip(text: str, signatures: list[SignatureLine]) -> None:
    note = Note(text, tuple(signatures))
    assert Note.parse(note.encode()) == note


@given(mutants(GOOD))
def test_a_mutant_is_refused_or_is_its_own_only_spelling(data: bytes) -> None:
    try:
        note = Note.parse(data)
    except FormatError:
        return
    assert note.encode() == data


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=50).map(lambda b: b + b"\n\n" + b)))
def test_arbitrary_bytes(data: bytes) -> None:
    try:
        assert Note.parse(data).encode() == data
    except NoteError:
        return


@given(mutants(VKEYS["good"][0]["vkey"].encode()), st.text(max_size=80))
def test_mutated_keys(data: bytes, text: str) -> None:
    for vkey in (data.decode("utf-8", "replace"), data.decode("utf-8", "surrogateescape"), text):
        try:
            assert VerifierKey.parse(vkey).vkey == vkey
        except NoteError:
            continue


@given(mutants(LOG.private_text.encode()))
def test_mutated_private_keys(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    try:
        assert Ed25519Signer.parse(text).private_text == text
    except NoteError:
        return
