"""What is known of a log apart from its store: the guard's checkpoint, and those that others keep.

Guarantees: every one is signed by the log's key under the policy; a guard that is missing is made
again only from a checkpoint that somebody brings, never from what is being restored.
"""

from collections.abc import Sequence
from pathlib import Path

from ledger.config import DataDirectory
from ledger.errors import ConfigurationError, IntegrityAlarm
from ledger.log.guard import Guard, remembered
from ledger_verifier.audit.trust import Trusted, accept, earlier_checkpoint
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import Note
from ledger_verifier.formats.policy import Policy


def known_checkpoints(
    directory: DataDirectory, policy: Policy, files: Sequence[Path]
) -> list[Trusted]:
    """The guard's checkpoint and those in the files (checkpoints or receipts), largest first; the
    guard is made again from the largest of the files if it is missing.

    Raises ConfigurationError when there is neither, and IntegrityAlarm when one is not this log's.
    """
    known = [_from_file(path, policy, directory.origin) for path in files]
    if directory.guard_path.exists():
        known.append(_from_guard(directory, policy))
    elif known:
        largest = max(known, key=lambda one: one.size)
        Guard.create(directory.guard_path, issued(largest, directory)).close()
    else:
        raise ConfigurationError(
            f"The guard {directory.guard_path} is missing, so nothing tells how far this log had "
            "come. Bring it back from where the keys are kept, or give --known the newest "
            "checkpoint that an auditor, a witness or you yourself have kept."
        )
    return sorted(known, key=lambda one: -one.size)


def _from_file(path: Path, policy: Policy, origin: str) -> Trusted:
    try:
        trusted = earlier_checkpoint(path.read_bytes(), policy, str(path))
    except FormatError as error:
        raise IntegrityAlarm(f"{path} is not a checkpoint or receipt of this log.") from error
    if trusted.origin != origin:
        raise IntegrityAlarm(f"{path} is a checkpoint of another log.")
    return trusted


def _from_guard(directory: DataDirectory, policy: Policy) -> Trusted:
    try:
        return accept(remembered(directory.guard_path), policy, "the guard's checkpoint")
    except FormatError as error:
        raise IntegrityAlarm(f"The guard's checkpoint does not verify: {error}") from error


def issued(trusted: Trusted, directory: DataDirectory) -> bytes:
    """A checkpoint with the one signature that the writer itself gives it, as it is kept in the
    head and in the guard. Raises IntegrityAlarm when it does not bear that."""
    note, key = Note.parse(trusted.raw), directory.signing_keys().ed25519.key
    lines = [one for one in note.signatures if (one.name, one.key_id) == (key.name, key.key_id)]
    if not lines or key not in trusted.opened.signers:
        raise IntegrityAlarm(
            f"{trusted.label} is not signed by the signing key in {directory.keys_path}."
        )
    return Note(note.text, (lines[0],)).encode()
