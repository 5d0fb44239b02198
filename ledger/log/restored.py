"""The word of a restore on what it could not bring back: notes in the event store, signed by the
log's own key.

    hub-ledger/restore-loss@v1            hub-ledger/restored-expiry@v1
    <origin>                              <origin>
    <the note, canonical JSON>            <the note, canonical JSON>

are the texts that are signed, as a note's (C2SP signed-note): of sealed fields that are lost; and
of the keys that are known to have gone with an expiry, by position, where a restore does not know
them all. A text is made again from what is stored and never read, so that no other has its
signature. Its first line is that of nothing else the key signs, its third no root of a checkpoint;
and the writer, who signs statements for workers, does not sign these.

Guarantees: what is found good here was noted by a restore that the holder of the key ran. A note of
a loss counts for a log of exactly the size that the restore led to. Nothing is appended between it
and the entry that declares the loss, so a note that is kept and put back afterwards is of no use.
A note of an expiry stays true: every key it speaks of was of the streams that expired.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from ledger.store.lost import LossNote
from ledger_verifier.formats.entry import canonical
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import (
    Ed25519Signer,
    Note,
    SignatureLine,
    VerifierKey,
    is_signed_by,
)
from ledger_verifier.meaning.schemas import Lost

LOSS: Final = "hub-ledger/restore-loss@v1"
EXPIRY: Final = "hub-ledger/restored-expiry@v1"


def sign_loss(signer: Ed25519Signer, lost: Lost) -> LossNote:
    """What a restore notes of one loss. The key's name is the log's origin."""
    return LossNote(lost, _sign(signer, LOSS, asdict(lost)))


def flaw(note: LossNote, keys: Iterable[VerifierKey], size: int) -> str | None:
    """Why a note is not believed by a log of this size, whose Ed25519 keys these are; None where it
    is."""
    if not _is_signed(keys, LOSS, asdict(note.lost), note.signature):
        return "this log's key did not sign it"
    if note.lost.log_size != size:
        return "it is of a restore after which the log went on"
    return None


def sign_expiry(signer: Ed25519Signer, position: int, keys_sha256: str) -> bytes:
    """The signature over which keys, by their digest, a restore knows to have gone with the expiry
    at a position."""
    return _sign(signer, EXPIRY, _expiry(position, keys_sha256))


def is_known_expiry(
    keys: Iterable[VerifierKey], position: int, keys_sha256: str, signature: bytes | None
) -> bool:
    """Whether this is the signature of a log with these keys over that."""
    return signature is not None and _is_signed(
        keys, EXPIRY, _expiry(position, keys_sha256), signature
    )


def _expiry(position: int, keys_sha256: str) -> dict[str, Any]:
    return {"keys_sha256": keys_sha256, "position": position}


def _sign(signer: Ed25519Signer, what: str, value: dict[str, Any]) -> bytes:
    return signer.sign(_text(what, signer.key.name, value)).signature


def _is_signed(
    keys: Iterable[VerifierKey], what: str, value: dict[str, Any], signature: bytes
) -> bool:
    for key in keys:
        try:
            line = SignatureLine(key.name, key.key_id, signature)
            if is_signed_by(Note(_text(what, key.name, value), (line,)), key):
                return True
        except FormatError:
            # What is stored need not be what can be written as a note at all.
            continue
    return False


def _text(what: str, origin: str, value: dict[str, Any]) -> str:
    return f"{what}\n{origin}\n{canonical(value).decode()}\n"
