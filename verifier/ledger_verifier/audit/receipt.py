"""Verifies a receipt: one entry, and the proof that it is in the log (c2sp.org/tlog-proof).

Guarantees, when the verdict is not FAILED: the entry is well formed, and a tree that the log's key
signed has these bytes at the receipt's index. A receipt handed out with the append rests on an
*issued* checkpoint, which no witness has seen yet: it is UNWITNESSED until the log as witnessed is
verified to continue it.
"""

from typing import Final

from ledger_verifier.audit.dates import Dates
from ledger_verifier.audit.report.build import build_report
from ledger_verifier.audit.report.model import Failure, Findings, Report
from ledger_verifier.audit.streams import field_of, genesis_problem, stream_of
from ledger_verifier.audit.trust import Trusted, accept, check_log_keys, signed_log_keys
from ledger_verifier.formats.entry import decode, is_ahead
from ledger_verifier.formats.errors import (
    EntryError,
    FormatError,
    OtherLogError,
    UnknownFormatError,
)
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.formats.policy import Policy
from ledger_verifier.formats.proof import LogProof
from ledger_verifier.meaning.schemas import AHEAD

SUBJECT: Final = "receipt"
NOT_ASSESSED: Final = (
    "registration of the entry's type, its stream's chain, uniqueness: a receipt is about one "
    "entry alone",
)
CONTINUED: Final = (
    "whether the log, as published and witnessed since, still continues this checkpoint: "
    "ledger-verify log URL --since RECEIPT tells"
)


def verify_receipt(
    receipt: bytes, entry: bytes, policy: Policy, *, policy_sha256: str | None = None
) -> Report:
    """Verify a receipt against the exact bytes of an entry; what they hold never makes this
    raise."""
    findings = Findings()
    findings.not_assessed.extend((*NOT_ASSESSED, CONTINUED))
    trusted = None
    try:
        proof = LogProof.parse(receipt)
        trusted = accept(proof.checkpoint, policy, "the checkpoint in the receipt")
    except OtherLogError as error:
        findings.lack(str(error))
    except FormatError as error:
        findings.fail(Failure(f"receipt: {error}"))
    else:
        _verify(proof, trusted, entry, findings)
        check_log_keys(trusted, policy, findings)
    return build_report(SUBJECT, findings, policy, trusted, policy_sha256)


def _verify(proof: LogProof, trusted: Trusted, entry: bytes, findings: Findings) -> None:
    findings.counts["entries"] = 1
    stream = stream_of(entry)
    try:
        value = decode(entry)
    except UnknownFormatError:
        findings.lack(
            "the entry is of a format that this verifier does not know: a newer one is needed"
        )
    except EntryError as error:
        reason = f"{error}{_newline_hint(entry)}"
        findings.fail(Failure(reason, proof.index, stream, field_of(str(error))))
    else:
        if is_ahead(value["occurred_at"], value["recorded_at"]):
            findings.fail(Failure(AHEAD, proof.index, stream, "occurred_at"))
        Dates([trusted], findings).check(proof.index, [entry])
        if proof.index == 0:
            keys = [key.vkey for key in signed_log_keys(trusted)]
            problem = genesis_problem(value, trusted.origin, keys)
            if problem is not None:
                findings.fail(Failure(problem, 0, stream, field_of(problem)))
    try:
        proof.verify(leaf_hash(entry), trusted.opened.checkpoint)
    except FormatError as error:
        reason = f"not shown to be in the log at this position: {error}"
        findings.fail(Failure(reason, proof.index, stream))
    else:
        findings.counts["proofs"] = 1


def _newline_hint(entry: bytes) -> str:
    stripped = entry.rstrip(b"\r\n")
    if stripped == entry:
        return ""
    try:
        decode(stripped)
    except EntryError:
        return ""
    return "; without the newline at its end the file would be an entry"
