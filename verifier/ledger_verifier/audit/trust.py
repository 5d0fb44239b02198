"""Checkpoints as the trust policy sees them, and the earlier ones a log is held against.

Guarantees: a `Trusted` checkpoint carries a good Ed25519 signature by its own log's key, and no
bad signature by any key that the policy lists. Whether the policy's quorum of witnesses has signed
is told apart, since a log can be whole without it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger_verifier.audit.report.model import (
    CheckpointFacts,
    Failure,
    Findings,
    SignatureFact,
)
from ledger_verifier.formats.checkpoint import OpenedCheckpoint
from ledger_verifier.formats.note import (
    SIG_COSIGNATURE_ED25519,
    SIG_ED25519,
    SIG_MLDSA44,
    VerifierKey,
)
from ledger_verifier.formats.policy import Policy
from ledger_verifier.formats.proof import LogProof

_ALGORITHMS = {
    SIG_ED25519: "Ed25519",
    SIG_COSIGNATURE_ED25519: "Ed25519 cosignature",
    SIG_MLDSA44: "ML-DSA-44 cosignature",
}
_PROOF_START = b"c2sp.org/tlog-proof@v1\n"


@dataclass(frozen=True, slots=True)
class Trusted:
    """A checkpoint accepted under a policy, and where it came from (`label`, for people)."""

    raw: bytes
    opened: OpenedCheckpoint
    label: str

    @property
    def origin(self) -> str:
        return self.opened.checkpoint.origin

    @property
    def size(self) -> int:
        return self.opened.checkpoint.size

    @property
    def root(self) -> bytes:
        return self.opened.checkpoint.root


def accept(raw: bytes, policy: Policy, label: str) -> Trusted:
    """Open a checkpoint under the policy; raises NoteError or CheckpointError."""
    return Trusted(raw, policy.open(raw), label)


def earlier_checkpoint(raw: bytes, policy: Policy, label: str) -> Trusted:
    """The checkpoint in what an auditor kept: a checkpoint, or a receipt (tlog-proof). Raises
    FormatError."""
    if raw.startswith(_PROOF_START):
        raw = LogProof.parse(raw).checkpoint
    return accept(raw, policy, label)


def signed_log_keys(trusted: Trusted) -> tuple[VerifierKey, ...]:
    """The keys of the log itself that signed this checkpoint."""
    return tuple(key for key in trusted.opened.signers if key.name == trusted.origin)


def missing_log_keys(trusted: Trusted, policy: Policy) -> tuple[str, ...]:
    """Algorithms of the log's keys in the policy that did not sign this checkpoint."""
    keys = policy.log_keys(trusted.origin)
    return tuple(_ALGORITHMS[k.sig_type] for k in keys if k not in trusted.opened.signers)


def check_log_keys(
    trusted: Trusted, policy: Policy, findings: Findings, *, published: bool = False
) -> None:
    """Fail a published checkpoint that lacks a signature by one of the log's own keys in the
    policy; say so of another. What a witness has signed was published, whoever hands it out."""
    witnessed = not set(policy.witness_keys()).isdisjoint(trusted.opened.signers)
    for algorithm in missing_log_keys(trusted, policy):
        lacks = f"the checkpoint has no {algorithm} by the log's own key in the policy"
        if published or witnessed:
            findings.fail(Failure(f"{lacks}, as every published checkpoint has"))
        else:
            findings.not_assessed.append(f"{lacks}, as is usual for one issued with a receipt")


def facts(trusted: Trusted, policy: Policy) -> CheckpointFacts:
    """What a report says of a checkpoint."""
    cosigners = policy.witness_keys()
    names = {witness.key: witness.name for witness in policy.witnesses}
    signatures = tuple(
        SignatureFact(
            names.get(key, key.name),
            "witness" if key in cosigners else "log",
            _ALGORITHMS[key.sig_type],
            trusted.opened.timestamps[key] or None,
        )
        for key in trusted.opened.signers
        if key in cosigners or key.name == trusted.origin
    )
    return CheckpointFacts(
        trusted.origin,
        trusted.size,
        trusted.root.hex(),
        signatures,
        policy.quorum,
        policy.quorum_met(trusted.opened.signers),
    )


def same_log(checkpoints: Iterable[Trusted], origin: str) -> list[Trusted]:
    """Those of one origin that bind it to anything: every log continues the empty tree."""
    return [known for known in checkpoints if known.origin == origin and known.size > 0]
