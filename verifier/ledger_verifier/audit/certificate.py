"""Verifies an erasure certificate, offline, with the policy alone.

Guarantees, when the verdict is not FAILED: the log's own key signed what the certificate states;
every leaf that it names is in the tree that the enclosed checkpoint signs. In the controller's form
the entries of the whole stream are enclosed and checked as a case bundle's are, and what is stated
of the erasures is what they show. In the subject's form no entry is enclosed: what is stated is on
the word of the log's key, and says so. (docs/formats.md, "Erasure certificates".)
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from ledger_verifier.audit.case import MAX_MANIFEST, MAX_PROOF_BYTES, verify_stream
from ledger_verifier.audit.report.build import build_report
from ledger_verifier.audit.report.model import Failure, Findings, Report, Verdict
from ledger_verifier.audit.trust import Trusted, accept, check_log_keys
from ledger_verifier.formats.bundle import (
    CHECKPOINT,
    MANIFEST,
    BundleReader,
    CaseManifest,
    MissingMemberError,
    UnknownBundleFormatError,
    decode_proof,
    entry_name,
    proof_name,
)
from ledger_verifier.formats.certificate import CERTIFICATE, Certificate, open_certificate
from ledger_verifier.formats.entry import MAX_ENTRY
from ledger_verifier.formats.errors import FormatError, OtherLogError
from ledger_verifier.formats.merkle import leaf_hash, verify_inclusion
from ledger_verifier.formats.note import MAX_NOTE
from ledger_verifier.formats.policy import Policy
from ledger_verifier.meaning.case import CaseState, fold
from ledger_verifier.meaning.certified import CONTROLLER, controller_facts, is_for_the_person

SUBJECT: Final = "erasure certificate"
NOT_SHOWN: Final = (
    "that nothing else is held about the person: the certificate is about one stream",
    "that a recipient or a system did what it confirmed",
    "that no backup is left, beyond the word of whoever keeps them",
)
UNENCLOSED: Final = (
    "what the certificate states, beyond that the log's own key signed it: the entries that it "
    "rests on are not enclosed, so that it names nobody",
)
EXPORTS: Final = (
    "how many copies with sealed fields were taken, and destroyed, and which are outstanding: on "
    "the word of the log's key ({taken} taken, {destroyed} destroyed). A bundle of the access "
    "stream of the case shows it"
)
ID_UNIQUENESS: Final = "uniqueness of ids and of digests: a certificate is only a part of the log"


def verify_certificate(
    bundle: BundleReader, policy: Policy, *, policy_sha256: str | None = None
) -> Report:
    """Verify a certificate; what it holds never makes this raise."""
    findings = Findings()
    trusted, certificate = None, None
    try:
        trusted = accept(bundle.read(CHECKPOINT, MAX_NOTE), policy, "the checkpoint in the file")
        raw = bundle.read(CERTIFICATE, MAX_NOTE)
        certificate = open_certificate(raw, policy.log_keys(trusted.origin))
    except (MissingMemberError, UnknownBundleFormatError, OtherLogError) as error:
        findings.lack(str(error))
    except FormatError as error:
        findings.fail(Failure(str(error)))
    else:
        check_log_keys(trusted, policy, findings)
        _verify(bundle, certificate, trusted, findings)
        findings.not_assessed.append(EXPORTS.format(**certificate.exports))
    findings.not_assessed.append(ID_UNIQUENESS)
    unenclosed = certificate is not None and certificate.form != CONTROLLER
    report = build_report(
        SUBJECT,
        findings,
        policy,
        trusted,
        policy_sha256,
        not_shown=(*NOT_SHOWN, *(UNENCLOSED if unenclosed else ())),
    )
    if certificate is None or report.verdict in (Verdict.FAILED, Verdict.UNVERIFIABLE):
        return report
    return replace(report, shown=(*report.shown, *stated(certificate)))


def _verify(
    bundle: BundleReader, certificate: Certificate, trusted: Trusted, findings: Findings
) -> None:
    if certificate.origin != trusted.origin or certificate.tree_size != trusted.size:
        findings.fail(Failure("the certificate is not of the log and size of its checkpoint"))
        return
    findings.counts["leaves"] = len(certificate.leaves)
    for position, leaf in certificate.leaves:
        _check_leaf(bundle, position, bytes.fromhex(leaf), trusted, findings)
    if certificate.form == CONTROLLER:
        _verify_entries(bundle, certificate, trusted, findings)
        return
    expected = {CERTIFICATE, CHECKPOINT, *(proof_name(place) for place, _ in certificate.leaves)}
    for name in sorted(set(bundle.names) - expected):
        findings.fail(Failure(f"{name} is in the file, and no certificate of this form holds it"))
    if not is_for_the_person(certificate.facts, certificate.exports):
        reason = "the certificate does not state what one for the person does, and nothing else"
        findings.fail(Failure(reason))


def _check_leaf(
    bundle: BundleReader, position: int, leaf: bytes, trusted: Trusted, findings: Findings
) -> None:
    try:
        hashes = decode_proof(bundle.read(proof_name(position), MAX_PROOF_BYTES))
        verify_inclusion(leaf, position, trusted.size, hashes, trusted.root)
    except MissingMemberError as error:
        findings.lack(str(error))
    except FormatError as error:
        reason = f"not shown to be in the log at this position: {error}"
        findings.fail(Failure(reason, position))
    else:
        findings.counts["proofs"] += 1


def _verify_entries(
    bundle: BundleReader, certificate: Certificate, trusted: Trusted, findings: Findings
) -> None:
    """The entries of the stream, and that they show what is stated."""
    try:
        manifest = CaseManifest.parse(bundle.read(MANIFEST, MAX_MANIFEST))
    except (MissingMemberError, UnknownBundleFormatError) as error:
        findings.lack(str(error))
        return
    except FormatError as error:
        findings.fail(Failure(str(error)))
        return
    states = _Folded()
    # The proofs of the stream's own entries are counted once.
    proofs = findings.counts.pop("proofs", 0)
    verify_stream(
        bundle, manifest, trusted, (), findings, besides=frozenset({CERTIFICATE}), heard=states.take
    )
    findings.counts["proofs"] = max(proofs, findings.counts["proofs"])
    stated_leaves = [position for position, _ in certificate.leaves]
    if stated_leaves != sorted(manifest.positions):
        findings.fail(Failure("the certificate names other entries than those enclosed"))
    for position, leaf in certificate.leaves:
        if not _is_leaf(bundle, position, leaf):
            reason = "the entry enclosed is not the one that the certificate names"
            findings.fail(Failure(reason, position))
    if not manifest.stream.startswith("case/"):
        findings.fail(Failure("the entries enclosed are of no case"))
    if findings.failed or findings.lacking:
        return
    if states.state is None or controller_facts(states.state) != certificate.facts:
        findings.fail(Failure("the certificate states what the entries enclosed do not show"))


def _is_leaf(bundle: BundleReader, position: int, leaf: str) -> bool:
    try:
        return leaf_hash(bundle.read(entry_name(position), MAX_ENTRY)).hex() == leaf
    except FormatError:
        return False


class _Folded:
    """The state that the entries enclosed leave the stream in."""

    def __init__(self) -> None:
        self.state: CaseState | None = None

    def take(self, entry: Mapping[str, Any]) -> None:
        """One more entry of the stream, which has passed its checks."""
        self.state = fold(self.state, entry)


def stated(certificate: Certificate) -> list[str]:
    """What a certificate states, in words."""
    if certificate.form != CONTROLLER:
        return list(_told(certificate.facts))
    lines = []
    for erasure in certificate.facts["erasures"]:
        whole = erasure["versions"] is None
        what = "everything" if whole else "what some entries"
        control = "evidenced" if erasure["dual_control"] else "not evidenced"
        gone = "gone" if erasure["gone_from_backups"] else "not yet recorded as gone"
        lines.append(
            f"the log records that {what} sealed about the person in {certificate.facts['stream']} "
            f"was erased at {erasure['erased_at']} (as stated: {erasure['stated_at']}), and that "
            f"the ledger found nothing of it at {erasure['verified_at']} "
            f"({', '.join(erasure['checked'])}); dual control is {control}; backups are {gone} "
            f"(declared: none from {erasure['no_backups_from']})"
        )
    outstanding = certificate.facts["outstanding"]
    lines.append(f"outstanding: {', '.join(outstanding) if outstanding else 'nobody'}")
    findings = certificate.facts["findings"]
    lines.append(f"open to question: {', '.join(findings) if findings else 'nothing'}")
    copies = [_copy(copy) for copy in certificate.exports["outstanding"]]
    lines.append(
        "copies not confirmed to be destroyed, as the log's key states: "
        + ("; ".join(copies) if copies else "none")
    )
    return lines


def _copy(copy: Mapping[str, Any]) -> str:
    if copy["destroy_by"] is None:
        return f"{copy['event']}, a bundle taken on {copy['taken_on']}"
    late = ", overdue" if copy["overdue"] else ""
    return (
        f"{copy['event']}, a pack for the {copy['audience']} made on {copy['taken_on']}, to be "
        f"destroyed by {copy['destroy_by']}{late}"
    )


def _told(facts: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"the ledger states that what it held about the person was erased on {facts['erased_on']}, "
        f"and that it found nothing of it on {facts['verified_on']}"
    )
    waiting = [share["category"] for share in facts["recipients"] if not share["confirmed"]]
    yield f"recipients that have not confirmed: {', '.join(map(str, waiting)) or 'none'}"
