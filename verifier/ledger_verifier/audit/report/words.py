"""What the report says in plain words: verdicts, subjects and counts, for people who are not
programmers (docs/verify.md says the same at length)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ledger_verifier.audit.report.model import Report, Verdict


@dataclass(frozen=True, slots=True)
class Meaning:
    """A verdict in a few words, what it means, and what to do now."""

    short: str
    means: str
    then: str


_KEEP: Final = (
    "Keep this report. With the number of entries and the root that it gives, or better with the "
    "verifier's state file, the next check can show that nothing was rewritten in between."
)
_MEANINGS: Final = {
    Verdict.VERIFIED: Meaning(
        "intact, and witnessed as the policy asks",
        "Everything that was checked holds together, and the outside witnesses that the policy "
        "asks for have signed it. Had what was checked been changed, removed or reordered after "
        "they signed, this check would have failed.",
        _KEEP,
    ),
    Verdict.UNWITNESSED: Meaning(
        "intact, but on the controller's word alone",
        "Everything that was checked holds together, but too few of the outside witnesses that "
        "the policy asks for have signed it. Whoever holds the log's own key could show you this "
        "version and somebody else another one, and this check alone would not notice.",
        "Check again later. If the signatures of the witnesses are still missing, ask the operator "
        "why.",
    ),
    Verdict.UNVERIFIABLE: Meaning(
        "it cannot be told",
        "Something that the check needs is missing, or is in a newer format than this verifier "
        "knows. That says nothing good or bad of what was recorded.",
        "Read what is missing, obtain it, and check again.",
    ),
    Verdict.FAILED: Meaning(
        "it does not hold together",
        "At least one thing is not as it was signed, or breaks a rule of the log. This report says "
        "what and where, not why or by whom: a damaged disk and a falsified log can look alike.",
        "Keep this report, your state file, and a copy of what was checked as it is now. Ask the "
        "operator in writing.",
    ),
}
_UNASKED: Final = Meaning(
    "intact; the policy asks for no witness",
    "Everything that was checked holds together. It rests on the word of the ledger's controller: "
    "the policy asks for no outside witness. Whoever holds the log's own key could show you this "
    "version and somebody else another one, and this check alone would not notice.",
    _KEEP,
)

_SUBJECTS: Final = {
    "log": "the live log",
    "log bundle": "a file that holds a whole log",
    "case bundle": "a file that holds the entries of one case",
    "stream bundle": "a file that holds the entries of one stream",
    "bundle": "a bundle",
    "erasure certificate": "an erasure certificate",
    "receipt": "a receipt and the entry that it is for",
    "database": "the ledger in its own database",
}

#: What each count is of, in the order shown; one that is not here is shown under its own name.
_COUNTS: Final = {
    "entries": "Entries read and checked",
    "expired": "Entries whose bytes have expired, as the log says",
    "absent": "Entries whose bytes are gone and that nothing in the log explains",
    "sealed_lost": "Losses of sealed fields that the log declares (of an entry, under one key)",
    "unknown_format": "Entries in a format that this verifier does not know",
    "entries_before": "Entries that an earlier run checked, as the state file says",
    "conduct_not_judged": "Entries of which it was not judged whether what they record was right",
    "streams": "Streams (cases and other series of entries)",
    "registrations": "Types of entry that the log declares, with the fields each has",
    "disclosures": "Sealed fields that were opened, and say what they said when recorded",
    "unopened": "Sealed fields that were not opened",
    "pages": "Pages for the person that say what the entries and the opened fields say",
    "leaves": "Entries that the certificate rests on",
    "proofs": "Proofs that an entry is in the log",
    "hash_tiles": "Tables of hashes (hash tiles)",
    "cells": "Hashes in those tables that were computed again",
    "signatures": "Good signatures on the checkpoint",
    "cosignatures": "Signatures of witnesses among them",
    "earlier_checkpoints": "Earlier checkpoints that the log was held against",
    "publications": "Published checkpoints",
    "stream heads": "Stored ends of streams",
    "sealed rows": "Sealed rows that open to what was committed to",
    "erased": "Entries whose sealed fields were erased, as the log says",
    "lost": "Sealed rows that were lost with a restore, as the log says",
}


def meaning(report: Report) -> Meaning:
    """What the verdict means."""
    asked = report.checkpoint is None or report.checkpoint.quorum is not None
    if report.verdict is Verdict.VERIFIED and not asked:
        return _UNASKED
    return _MEANINGS[report.verdict]


def subject(report: Report) -> str:
    """What was checked."""
    return _SUBJECTS.get(report.subject, report.subject)


def counts(checked: Mapping[str, int]) -> list[tuple[str, int]]:
    """Each count under what it is of, in one order for every run."""
    order = {name: place for place, name in enumerate(_COUNTS)}
    names = sorted(checked, key=lambda name: (order.get(name, len(order)), name))
    return [(_COUNTS.get(name, name.replace("_", " ")), checked[name]) for name in names]
