"""The keys that this ledger signs with: those that its log and its policy name.

Guarantees: when nothing is found, what this data directory signs next is what verifiers of this
log expect.
"""

from collections.abc import Collection

from ledger.config import DataDirectory
from ledger.errors import ConfigurationError
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.formats.policy import Policy


def check_signing_keys(
    directory: DataDirectory, policy: Policy, named: Collection[str] | None, findings: Findings
) -> None:
    """Hold the signing keys against the policy and against the verifier keys that entry 0 names
    (None when it could not be read)."""
    try:
        keys = directory.signing_keys()
    except (ConfigurationError, UnicodeDecodeError):
        reason = "the signing keys cannot be read: without both of them the log cannot go on"
        findings.fail(Failure(reason), source="signing")
        return
    trusted = {key.vkey for key in policy.log_keys(directory.origin)}
    for name, key in (("Ed25519", keys.ed25519.key), ("ML-DSA-44", keys.mldsa44.key)):
        if named is not None and key.vkey not in named:
            reason = f"the {name} signing key is not one that entry 0 names"
            findings.fail(Failure(reason), source="signing")
        if key.vkey not in trusted:
            reason = f"the {name} signing key is not one of this log's in the policy"
            findings.fail(Failure(reason), source="signing")
    if named is not None and len(named) != 2:
        reason = f"entry 0 names {len(named)} keys, and this ledger signs with two"
        findings.fail(Failure(reason), source="signing")
