"""Puts a report together: the verdict, what remains provable, and the limits printed with it.

Guarantees: every report says what is shown, what is not, and what was not assessed, in the same
words for every run of a kind. Nothing is listed as "none found" that was not looked for.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from ledger_verifier.audit.identity import VERSION, source_sha256
from ledger_verifier.audit.report.model import (
    MAX_FAILURES,
    CheckpointFacts,
    Failure,
    Findings,
    Report,
    Verdict,
)
from ledger_verifier.audit.source import Unread
from ledger_verifier.audit.trust import Trusted, facts
from ledger_verifier.formats.policy import Policy
from ledger_verifier.meaning.assurance import Finding

NOT_SHOWN: Final = (
    "that an entry was true when it was recorded",
    "that an act was recorded at all",
    "who was at the keyboard: actors are as the source system claimed them",
    "anything before the first witnessed checkpoint or after the last",
)
CONDUCT: Final = (
    "conduct: this version of the verifier carries no rules for what entries record, so no entry "
    "was judged ({entries} entries). Findings on conduct would be indications on recorded facts "
    "for a person to weigh, not determinations of breach"
)
COVERED: Final = (
    "whether the ledger's own processing is covered (assessments, controllers' arrangement, policy "
    "document): that takes every entry of a log that holds together"
)
UNIQUENESS: Final = (
    "uniqueness of ids and of digests: not looked for (--unique looks, and takes longer)"
)
EXPIRED: Final = (
    "what {entries} expired entries were, and the chains of their streams: their bytes are gone, "
    "as entries of the log say, and what is left of each is its hash in the tree"
)
RECIPIENTS: Final = (
    "uniqueness of the ids of {entries} entries that recipients submitted: their true source is "
    "sealed"
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the pass over a log ended. `reached` is how far it came; `whole` when nothing was absent;
    `entries_good` when the entries, and for those that are `unread` the hashes served in their
    place, give the signed root; `located` when each changed entry was named, `ranged` when at least
    a range was; `confirmed` is the largest earlier checkpoint they match. `expired` counts the
    entries that have no bytes and are explained; they are not `unread`. `conduct` is what was found
    of that; None where it was not looked at."""

    reached: int
    whole: bool
    entries_good: bool
    located: bool
    ranged: bool
    confirmed: Trusted | None
    unique: bool
    recipient_entries: int
    unread: Unread
    expired: int = 0
    conduct: tuple[Finding, ...] | None = None


def build_report(
    subject: str,
    findings: Findings,
    policy: Policy,
    trusted: Trusted | None,
    policy_sha256: str | None,
    ending: Ending | None = None,
    not_shown: tuple[str, ...] = (),
) -> Report:
    """The report on a run. Without an `ending` the subject is not a whole log, and its own limits
    are in `not_shown` and in the findings."""
    checkpoint = None if trusted is None else facts(trusted, policy)
    verdict = findings.verdict(checkpoint is not None and checkpoint.quorum_met)
    failures, count = findings.settled()
    checked = dict(sorted(findings.counts.items()))
    if checkpoint is not None:
        checked["signatures"] = len(checkpoint.signatures)
        checked["cosignatures"] = sum(s.role == "witness" for s in checkpoint.signatures)
    not_assessed = list(findings.not_assessed)
    not_assessed.append(CONDUCT.format(entries=checked.get("entries", 0)))
    if ending is None or ending.conduct is None:
        not_assessed.append(COVERED)
    if ending is not None:
        if ending.unread:
            not_assessed.insert(0, ending.unread.words)
        if ending.expired:
            not_assessed.append(EXPIRED.format(entries=ending.expired))
        if not ending.unique:
            not_assessed.append(UNIQUENESS)
        elif ending.recipient_entries:
            not_assessed.append(RECIPIENTS.format(entries=ending.recipient_entries))
    return Report(
        subject=subject,
        verdict=verdict,
        checked=checked,
        failures=failures,
        failure_count=count,
        lacking=tuple(findings.lacking),
        conduct=(ending and ending.conduct) or (),
        not_assessed=tuple(not_assessed),
        provable=_provable(verdict, checkpoint, ending, failures, count),
        shown=_shown(verdict, subject, checkpoint, 0 if ending is None else ending.expired),
        not_shown=(*NOT_SHOWN, *not_shown),
        evidence=tuple(findings.evidence),
        checkpoint=checkpoint,
        policy_sha256=policy_sha256 or sha256(policy.encode()).hexdigest(),
        verifier_version=VERSION,
        verifier_sha256=source_sha256(),
        confirmed=None if ending is None or ending.confirmed is None else ending.confirmed.size,
        compared=tuple(sorted(findings.compared, key=lambda c: -c.size)[:MAX_FAILURES]),
        unread=() if ending is None else ending.unread.ranges,
    )


def unread_report(subject: str, policy: Policy, policy_sha256: str, reason: str) -> Report:
    """The report when the input itself could not be read."""
    findings = Findings()
    findings.lack(reason)
    return build_report(subject, findings, policy, None, policy_sha256)


def failed_report(subject: str, policy: Policy, policy_sha256: str, reason: str) -> Report:
    """The report when the input is not what it has to be."""
    findings = Findings()
    findings.fail(Failure(reason))
    return build_report(subject, findings, policy, None, policy_sha256)


def failed_by_conduct(report: Report) -> Report:
    """The report, FAILED if there is a finding on conduct. What it shows of the record stands."""
    if not report.conduct:
        return report
    failures = tuple(Failure(f"conduct: {found['says']}") for found in report.conduct)
    return replace(
        report,
        verdict=Verdict.FAILED,
        failures=report.failures + failures,
        failure_count=report.failure_count + len(failures),
    )


def when(seconds: int) -> str:
    """POSIX seconds as people read them; the number itself where no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"


def _shown(
    verdict: Verdict, subject: str, checkpoint: CheckpointFacts | None, expired: int
) -> tuple[str, ...]:
    if verdict in (Verdict.FAILED, Verdict.UNVERIFIABLE) or checkpoint is None:
        return ()
    whole = "none was changed, removed or reordered since"
    if expired:
        whole += f", but for {expired} whose bytes have expired, as the log itself says"
    if subject == "receipt":
        whole = "this entry was not changed or moved since"
    elif subject in ("case bundle", "stream bundle"):
        whole = "none of the entries given was changed or moved since, or left out between them"
    elif subject == "erasure certificate":
        whole = "none of the entries that the certificate rests on was changed or moved since"
    time = checkpoint.witnessed_at
    if time is not None and checkpoint.quorum_met:
        return (f"these bytes are those witnessed at {when(time)}; {whole}",)
    signed = max((s.time for s in checkpoint.signatures if s.time), default=None)
    at = "" if signed is None else f", which dates its signature {when(signed)}"
    return (
        f"these bytes are those that the log's own key signed{at}; {whole}. "
        "This rests on the controller's word: no quorum of witnesses stands behind it",
    )


def _provable(
    verdict: Verdict,
    checkpoint: CheckpointFacts | None,
    ending: Ending | None,
    failures: tuple[Failure, ...],
    count: int,
) -> str:
    """What can be relied on in spite of the failures."""
    if verdict is not Verdict.FAILED:
        return (
            "all that was checked"
            if verdict is not Verdict.UNVERIFIABLE
            else ("what was checked, and no more")
        )
    if checkpoint is None or ending is None:
        return "nothing"
    parts: list[str] = []
    # What was not read is vouched for by nothing but the hash served in its place.
    unread = bool(ending.unread or ending.expired)
    read = "was read and " if unread else ""
    signed = "is the one that the checkpoint signs at its position"
    first = min((f.position for f in failures if f.position is not None), default=0)
    if ending.entries_good:
        whole = "the entries together are those that the checkpoint signs"
        parts.append(f"every entry that was read {signed}" if unread else whole)
    elif ending.located and count > len(failures):
        if first:
            seen = "that was read " if unread else ""
            parts.append(f"every entry {seen}before position {first} {signed}")
    elif ending.located:
        parts.append(f"every entry that {read}is not listed {signed}")
    elif ending.ranged and count == len(failures):
        parts.append(f"every entry that {read}is outside the ranges and positions listed {signed}")
    if ending.confirmed is not None:
        known = ending.confirmed
        parts.append(f"the first {known.size} entries are those of {known.label}")
    return "; ".join(parts) if parts else "nothing beyond the signatures"
