"""Checks the cover of a pack: that the log signed it, and that it is of this very pack.

Guarantees: a cover that nothing fails was signed by a key of the log in the policy, names the
origin of the checkpoint, and covers the name and every byte of every other member, among them the
nonce that no other pack has. A nonce with no cover over it fails. What has lost both is a plain
bundle.
"""

from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.audit.trust import Trusted
from ledger_verifier.formats.bundle import MAX_MEMBER, BundleReader
from ledger_verifier.formats.cover import (
    COVER,
    MAX_COVER,
    MAX_NONCE,
    NONCE,
    Cover,
    digest_of,
    is_nonce_member,
)
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import Note, is_signed_by
from ledger_verifier.formats.policy import Policy


def check_cover(
    bundle: BundleReader, trusted: Trusted, policy: Policy, findings: Findings
) -> Cover | None:
    """The cover of a pack, if the bundle has one that can be read."""
    if COVER not in bundle:
        if NONCE in bundle:
            findings.fail(Failure(f"{NONCE}: the cover of this pack was taken off"))
        return None
    try:
        note = Note.parse(bundle.read(COVER, MAX_COVER))
        cover = Cover.parse(note.text)
        nonce = bundle.read(NONCE, MAX_NONCE) if NONCE in bundle else b""
        members = digest_of(
            (name, bundle.read(name, MAX_MEMBER)) for name in bundle.names if name != COVER
        )
    except FormatError as error:
        findings.fail(Failure(f"{COVER}: {error}"))
        return None
    if cover.origin != trusted.origin:
        findings.fail(Failure(f"{COVER}: names another log than the checkpoint"))
    if not any(is_signed_by(note, key) for key in policy.log_keys(trusted.origin)):
        findings.fail(Failure(f"{COVER}: not signed by a key of the log in the policy"))
    if cover.members != members:
        findings.fail(Failure(f"{COVER}: it was signed over other contents than these"))
    if NONCE not in bundle:
        findings.fail(Failure(f"{COVER}: the pack has no nonce, by which it would be no other"))
    elif not is_nonce_member(nonce):
        findings.fail(Failure(f"{NONCE}: is not 128 bits in base64url on one line"))
    return cover
