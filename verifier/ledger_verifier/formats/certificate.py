"""Erasure certificates: what a ledger states of an erasure, signed, and what it rests on.

    hub-ledger/erasure-certificate@v1
    <origin>
    <the statement, canonical JSON>

is the text of a signed note (`formats.note`) by the log's Ed25519 key. Its first line is no origin
of a log and its second no tree size, so that nobody can pass it off as a checkpoint. The note is
the member `certificate` of a bundle (`formats.bundle`), beside:

- in the controller's form, everything that a case bundle of the stream holds;
- in the subject's form, `checkpoint`, and `proofs/` of the leaves that the statement names, whose
  entries are not enclosed.

Format: docs/formats.md, "Erasure certificates".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger_verifier.formats.bundle import CHECKPOINT, encode_proof, proof_name, write_bundle
from ledger_verifier.formats.cover import WORDS
from ledger_verifier.formats.entry import (
    MAX_INTEGER,
    canonical,
    is_day,
    is_hex64,
    is_instant,
    is_uuid,
    load_canonical,
)
from ledger_verifier.formats.errors import CertificateError, EntryError, NoteError
from ledger_verifier.formats.note import SIG_ED25519, Note, VerifierKey

FORMAT: Final = "hub-ledger/erasure-certificate@v1"
#: The member that makes a bundle a certificate.
CERTIFICATE: Final = "certificate"
FORMS: Final = ("controller", "subject")
_MEMBERS: Final = frozenset(
    {"facts", "form", "issued_at", "leaves", "nonce", "tree_size", "exports"}
)
#: What is stated of a copy that is not confirmed to be destroyed.
_COPY: Final = frozenset({"audience", "destroy_by", "event", "overdue", "taken_on"})
MAX_LEAVES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate states: of which log and tree size, in which form, resting on which leaves
    (position and leaf hash, ascending), the facts, and how many copies with sealed fields were
    `taken` and `destroyed`, and in the controller's form which are `outstanding`. For the copies
    only the signature stands."""

    origin: str
    form: str
    issued_at: str
    nonce: str
    tree_size: int
    leaves: tuple[tuple[int, str], ...]
    facts: Mapping[str, Any]
    exports: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The text of the note; raises EntryError where the facts are no canonical JSON."""
        statement = {
            "exports": dict(self.exports),
            "facts": dict(self.facts),
            "form": self.form,
            "issued_at": self.issued_at,
            "leaves": [list(leaf) for leaf in self.leaves],
            "nonce": self.nonce,
            "tree_size": self.tree_size,
        }
        return f"{FORMAT}\n{self.origin}\n{canonical(statement).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Certificate":
        """Read the text of a note; raises CertificateError unless `text` could have made it."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[0] != FORMAT or lines[3]:
            raise CertificateError("not the text of an erasure certificate")
        try:
            value = load_canonical(lines[2].encode())
        except (EntryError, UnicodeEncodeError):
            raise CertificateError("the statement is not canonical JSON") from None
        _check(value)
        return cls(
            lines[1],
            value["form"],
            value["issued_at"],
            value["nonce"],
            value["tree_size"],
            tuple((position, leaf) for position, leaf in value["leaves"]),
            value["facts"],
            value["exports"],
        )


def _check(value: Any) -> None:
    if type(value) is not dict or value.keys() != _MEMBERS:
        raise CertificateError("the statement has other members than a certificate's")
    good = (
        ("form", value["form"] in FORMS),
        ("issued_at", is_instant(value["issued_at"])),
        ("nonce", type(value["nonce"]) is str and 0 < len(value["nonce"]) <= 64),
        ("tree_size", type(value["tree_size"]) is int and 0 < value["tree_size"] <= MAX_INTEGER),
        ("facts", type(value["facts"]) is dict),
        ("leaves", _are_leaves(value["leaves"])),
    )
    for name, ok in good:
        if not ok:
            raise CertificateError(f"the statement's {name} is not well formed")
    if not _are_exports(value["exports"], value["form"], value["issued_at"][:10]):
        raise CertificateError("the statement's exports are not well formed, or do not add up")


def _are_exports(value: Any, form: str, issued_on: str) -> bool:
    """Counts of copies, and in the controller's form as many outstanding ones as they leave."""
    if type(value) is not dict:
        return False
    counts = [value.get(name) for name in ("destroyed", "taken")]
    if any(type(count) is not int or not 0 <= count <= MAX_INTEGER for count in counts):
        return False
    if form != "controller":
        return value.keys() == {"destroyed", "taken"}
    copies = value.get("outstanding")
    return (
        value.keys() == {"destroyed", "taken", "outstanding"}
        and type(copies) is list
        and all(_is_copy(copy, issued_on) for copy in copies)
        and len({copy["event"] for copy in copies}) == len(copies)
        and len(copies) == value["taken"] - value["destroyed"]
    )


def _is_copy(value: Any, issued_on: str) -> bool:
    if type(value) is not dict or value.keys() != _COPY:
        return False
    last_day = value["destroy_by"]
    is_pack = is_day(last_day) and value["audience"] in tuple(WORDS)
    overdue = is_pack and last_day < issued_on
    return (
        is_uuid(value["event"])
        and is_day(value["taken_on"])
        and (is_pack or last_day is value["audience"] is None)
        and value["overdue"] is overdue
    )


def _are_leaves(value: Any) -> bool:
    if type(value) is not list or not 0 < len(value) <= MAX_LEAVES:
        return False
    last = -1
    for leaf in value:
        if type(leaf) is not list or len(leaf) != 2 or not is_hex64(leaf[1]):
            return False
        if type(leaf[0]) is not int or not last < leaf[0] <= MAX_INTEGER:
            return False
        last = leaf[0]
    return True


def open_certificate(raw: bytes, keys: Iterable[VerifierKey]) -> Certificate:
    """A certificate that one of these Ed25519 keys of its own log has signed. Raises NoteError or
    CertificateError; what is signed by somebody else is not opened."""
    note = Note.parse(raw)
    certificate = Certificate.parse(note.text)
    trusted = {(key.name, key.key_id): key for key in keys if key.sig_type == SIG_ED25519}
    signed = False
    for line in note.signatures:
        key = trusted.get((line.name, line.key_id))
        if key is None or key.name != certificate.origin:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public_key).verify(
                line.signature, note.text.encode()
            )
        except InvalidSignature:
            raise NoteError("the signature on the certificate does not verify") from None
        signed = True
    if not signed:
        raise CertificateError("the certificate is not signed by the log that it names")
    return certificate


def write_subject_certificate(
    file: BinaryIO, signed: bytes, checkpoint: bytes, proofs: Mapping[int, Iterable[bytes]]
) -> None:
    """Write the subject's form: the signed statement, and the proofs of its leaves."""
    members = [(CERTIFICATE, signed), (CHECKPOINT, checkpoint)]
    members += [(proof_name(position), encode_proof(proof)) for position, proof in proofs.items()]
    write_bundle(file, members)
