"""Tells which of the files that an auditor handles a file is, so that mix-ups are said in words.

Guarantees: this looks at how a file begins and decides nothing about what it is worth. A file that
may be a damaged or altered one of the kind asked for is of no kind here, and goes to its check.
"""

import re
from enum import StrEnum
from typing import Final

#: As much of a file as is looked at.
LOOKED_AT: Final = 65_536

_RECEIPT: Final = b"c2sp.org/tlog-proof@v1\n"
_ZIP: Final = b"PK\3\4"
_SIGNED: Final = "\n\n\N{EM DASH} ".encode()
_POLICY = re.compile(rb"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*(?:log|witness|group|quorum)[ \t]+[^\n]+\n")


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


def kind_of(start: bytes) -> Kind | None:
    """The kind of the file that begins with these bytes; None where it is of no kind."""
    if start.startswith(_ZIP):
        return Kind.BUNDLE
    if start.startswith(_RECEIPT):
        return Kind.RECEIPT
    if start.startswith(b'{"format":"hub-ledger/verifier-state@'):
        return Kind.STATE
    if start.startswith(b"{") and b'"format":"hub-ledger/entry@' in start:
        return Kind.ENTRY
    if _POLICY.match(start):
        return Kind.POLICY
    return Kind.CHECKPOINT if _SIGNED in start else None
