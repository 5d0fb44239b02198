"""Tells which of the files that an auditor handles a file is, so that mix-ups are said in words.

Guarantees: a file is of a kind only if it is a whole and well-formed one of that kind, with nothing
before or after it. This decides nothing about what it is worth. A file that may be a damaged or
altered one of the kind asked for is of no kind here, and goes to its check.
"""

from enum import StrEnum
from pathlib import Path
from typing import Final

from ledger_verifier.audit.state import State, StateError
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.entry import decode
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import MAX_NOTE, Note
from ledger_verifier.formats.policy import MAX_POLICY, Policy
from ledger_verifier.formats.proof import MAX_PROOF, LogProof

#: As much of a file as is looked at: more than any of them but bundles and state files can have.
LOOKED_AT: Final = max(MAX_NOTE, MAX_POLICY, MAX_PROOF) + 1

_RECEIPT: Final = b"c2sp.org/tlog-proof@v1\n"
_ZIP: Final = b"PK\3\4"
_STATE: Final = b'{"format":"hub-ledger/verifier-state@'


class Kind(StrEnum):
    """What a file is; the value is what people call it, with its article."""

    BUNDLE = "a bundle"
    RECEIPT = "a receipt"
    ENTRY = "an entry"
    CHECKPOINT = "a checkpoint"
    POLICY = "a policy"
    STATE = "a state file"


#: Where a file of each kind belongs on the command line.
BELONGS: Final = {
    Kind.BUNDLE: "check it with: ledger-verify bundle FILE --policy POLICY",
    Kind.RECEIPT: "check it with: ledger-verify receipt FILE --entry ENTRY --policy POLICY",
    Kind.ENTRY: "give it after --entry, with its receipt: "
    "ledger-verify receipt RECEIPT --entry FILE --policy POLICY",
    Kind.CHECKPOINT: "give it after --since, when you check a log or a bundle",
    Kind.POLICY: "give it after --policy",
    Kind.STATE: "give it after --state, when you check a log or a bundle",
}


def begins_as(kind: Kind, start: bytes) -> bool:
    """Whether a file begins as those of this kind do and no other: a bundle or a receipt."""
    return (kind is Kind.BUNDLE and start.startswith(_ZIP)) or (
        kind is Kind.RECEIPT and start.startswith(_RECEIPT)
    )


def kind_of(start: bytes, path: Path) -> Kind | None:
    """The kind of the file at `path`, whose first LOOKED_AT bytes are given; None where it is
    nothing of any kind from its beginning to its end."""
    try:
        if start.startswith(_ZIP):
            with path.open("rb") as file:
                BundleReader(file)
            return Kind.BUNDLE
        if start.startswith(_STATE):
            State.load(path)
            return Kind.STATE
        if start.startswith(_RECEIPT):
            LogProof.parse(start)
            return Kind.RECEIPT
        if start.startswith(b"{"):
            # A line end that an editor added makes it no file of another kind.
            decode(start.rstrip(b"\r\n"))
            return Kind.ENTRY
    except (FormatError, StateError, OSError):
        return None
    if _is_policy(start):
        return Kind.POLICY
    return Kind.CHECKPOINT if _is_checkpoint(start) else None


def _is_policy(raw: bytes) -> bool:
    try:
        return bool(Policy.parse(raw).logs)
    except FormatError:
        return False


def _is_checkpoint(raw: bytes) -> bool:
    try:
        Checkpoint.parse(Note.parse(raw).text)
    except FormatError:
        return False
    return True
