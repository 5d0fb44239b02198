"""What an auditor gives besides the log itself: policy, earlier checkpoints, state, single files.

Guarantees: whatever of it cannot be used is UsageError (or StateError), before anything is checked,
and says what is wrong with which file. Every file is read up to its limit and no further.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from ledger_verifier.audit.kinds import BELONGS, Kind, begins_as, kind_of
from ledger_verifier.audit.state import State
from ledger_verifier.audit.trust import Trusted, earlier_checkpoint
from ledger_verifier.formats.bundle import CHECKPOINT, BundleReader
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import MAX_NOTE
from ledger_verifier.formats.policy import MAX_POLICY, Policy
from ledger_verifier.formats.proof import MAX_PROOF

_ZIP_START: Final = b"PK\3\4"
#: What a ZIP archive without comment ends with begins so, and is so long.
_ZIP_END: Final = b"PK\5\6"
_END_BYTES: Final = 22


class UsageError(Exception):
    """What the auditor gave cannot be used; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The policy, the digest of its file, and what the auditor knows from earlier."""

    policy: Policy
    digest: str
    earlier: tuple[Trusted, ...] = ()
    remembered: tuple[Trusted, ...] = ()
    state: State | None = None


def open_given(path: Path) -> BinaryIO:
    """A file that was named on the command line, open to read; raises UsageError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be opened: {error.strerror}. Give the path of the file to check"
        ) from error


def ends_as_bundle(file: BinaryIO) -> bool:
    """Whether the last bytes are those of a bundle, whatever comes before; raises OSError."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES))
    return file.read(_END_BYTES).startswith(_ZIP_END)


def is_kind(wanted: Kind, path: Path, start: bytes, called: str | None = None) -> bool:
    """Whether a file is one of this kind, or begins as one does; raises UsageError when it is a
    whole one of another. `start` is its first LOOKED_AT bytes; `called` is what the user knows it
    as, where that is not the kind."""
    if begins_as(wanted, start):
        return True
    kind = kind_of(start, path)
    if kind is None or kind is wanted:
        return kind is wanted
    raise UsageError(f"{path.name} is {kind}, not {called or wanted}: {BELONGS[kind]}")


def trust(policy_file: str, since: Sequence[str], state_file: str | None) -> Trust:
    """What to hold a log against; raises UsageError or StateError."""
    policy, digest = read_policy(policy_file)
    earlier = tuple(_since(Path(name), policy) for name in since)
    if state_file is None:
        return Trust(policy, digest, earlier)
    path = Path(state_file)
    state = State.load(path)
    remembered = []
    for raw in state.checkpoints():
        try:
            known = earlier_checkpoint(raw, policy, "")
        except FormatError as error:
            raise UsageError(
                f"{path.name} remembers a checkpoint that this policy does not accept: {error}"
            ) from error
        label = f"the checkpoint of size {known.size} remembered in {path.name}"
        remembered.append(replace(known, label=label))
    return Trust(policy, digest, earlier, tuple(remembered), state)


def read_policy(name: str) -> tuple[Policy, str]:
    """The policy and the SHA-256 of its file; raises UsageError."""
    try:
        raw = read(Path(name), MAX_POLICY)
        policy = Policy.parse(raw)
    except OSError as error:
        raise UsageError(f"the policy {name} cannot be read: {error.strerror}") from error
    except FormatError as error:
        raise UsageError(f"the policy {name} cannot be used: {error}") from error
    if not policy.logs:
        raise UsageError(f"the policy {name} names no log")
    return policy, sha256(raw).hexdigest()


def _since(path: Path, policy: Policy) -> Trusted:
    try:
        with path.open("rb") as file:
            if file.read(len(_ZIP_START)) == _ZIP_START:
                raw = BundleReader(file).read(CHECKPOINT, MAX_NOTE)
            else:
                file.seek(0)
                raw = _bounded(file, MAX_PROOF)
        known = earlier_checkpoint(raw, policy, "")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except FormatError as error:
        raise UsageError(f"{path} cannot be used as an earlier checkpoint: {error}") from error
    return replace(known, label=f"the checkpoint of size {known.size} in {path.name}")


def read(path: Path, limit: int) -> bytes:
    """The content, or one byte more than `limit` of it; raises OSError."""
    with path.open("rb") as file:
        return _bounded(file, limit)


def _bounded(file: BinaryIO, limit: int) -> bytes:
    """The content, or one byte more than `limit` of it, which its parser then refuses."""
    return file.read(limit + 1)
