"""Succession: a new log that goes on for one whose last entries are lost for good.

Guarantees: it opens under another origin and keys of its own, and says in its first entry which log
it goes on for, what of that is known and what is lost, signed by the old log's key. What was kept
of the old log lies beside, verified whole, and no writer opens the old log again. A log of which
nothing is lost has no successor: it goes on by itself.
"""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger import config
from ledger.backup.known import issued, known_checkpoints
from ledger.backup.tail import open_tail
from ledger.config import DataDirectory
from ledger.database import database_errors
from ledger.errors import ConfigurationError, IntegrityAlarm
from ledger.initialise import initialise
from ledger.store import open_store
from ledger_verifier.audit.trust import Trusted, accept
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.policy import Policy
from ledger_verifier.meaning.succession import MAX_CHECKPOINTS, describe

#: What was kept of the old log, in the data directory of the new one.
KEPT: Final = "predecessor.zip"
#: The old log's policy, by which that is checked.
KEPT_POLICY: Final = "predecessor.policy"


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The new log's origin, and of the old one what was kept and how much there had been."""

    origin: str
    kept: int
    size: int


def succeed(
    data: Path,
    old: Path,
    *,
    origin: str,
    kept: Path | None = None,
    known: Sequence[Path] = (),
    database: str | None = None,
    key_database: str | None = None,
) -> Succeeded:
    """Open a new log in `data` that goes on for the one whose keys are in `old`. `kept` is a log
    bundle of what is left of it, `known` are checkpoints or receipts of it besides the guard's.

    Raises ConfigurationError when that cannot be done so, and IntegrityAlarm when what is given is
    not the old log's or nothing of it is lost.
    """
    directory = config.load(old)
    policy = directory.policy()
    if origin == directory.origin:
        raise ConfigurationError("A log that has lost entries does not go on under its own name.")
    if (data / "ledger.toml").exists():
        raise ConfigurationError(f"There is a ledger in {data} already.")
    with ExitStack() as stack:
        # Whoever serves the old log must not go on beside the new one.
        stack.enter_context(config.locked(directory, wait=0.0))
        checkpoints = known_checkpoints(directory, policy, known)
        left, published = _what_is_left(directory, policy)
        checkpoints += published
        tail = None if kept is None else stack.enter_context(open_tail(kept, policy))
        if tail is not None:
            tail.verify(policy, checkpoints)
            checkpoints.append(tail.trusted)
        checkpoints = _one_of_each_size(checkpoints)
        size = 0 if tail is None else tail.size
        _check_loss(checkpoints[0], size, left)
        config.mark_succeeded(directory, origin)
        _open(directory, data, origin, checkpoints, size, database, key_database)
        if kept is not None:
            _keep(kept, data / KEPT)
            config.write_private(data / KEPT_POLICY, policy.encode())
    return Succeeded(origin, size, checkpoints[0].size)


def _what_is_left(directory: DataDirectory, policy: Policy) -> tuple[int, list[Trusted]]:
    """How many entries the old store still has, and its newest published checkpoint: nothing, if it
    cannot be read."""
    try:
        with closing(open_store(directory.database)) as store:
            head, newest = store.head(), store.newest_publication()
        published = [accept(newest[1], policy, "the newest publication")] if newest else []
        return 0 if head is None else head.size, published
    except database_errors(FormatError):
        return 0, []


def _one_of_each_size(checkpoints: Sequence[Trusted]) -> list[Trusted]:
    """Largest first. Raises IntegrityAlarm when two of one size are of different trees."""
    found: dict[int, Trusted] = {}
    for one in sorted(checkpoints, key=lambda one: -one.size):
        if found.setdefault(one.size, one).root != one.root:
            raise IntegrityAlarm(
                f"{found[one.size].label} and {one.label} are of one size and different trees: two "
                "logs were signed under one name. Keep both; that is no loss of entries."
            )
    return list(found.values())


def _check_loss(largest: Trusted, kept: int, left: int) -> None:
    if left >= largest.size:
        raise IntegrityAlarm(
            f"Nothing is lost: the old store has {left} entries, and no more are known of. Check "
            "it with hub-ledger fsck, and serve it."
        )
    if kept >= largest.size:
        raise IntegrityAlarm(
            f"Nothing is lost: the bundle holds all {largest.size} entries that are known of. "
            "Restore the log with hub-ledger restore --tail."
        )


def _open(
    old: DataDirectory,
    data: Path,
    origin: str,
    checkpoints: Sequence[Trusted],
    kept: int,
    database: str | None,
    key_database: str | None,
) -> None:
    # The largest says what is lost, that of the bundle what was kept; of the others the newest.
    needed = [one for one in checkpoints if one is checkpoints[0] or one.size == kept]
    others = [one for one in checkpoints if one not in needed][: MAX_CHECKPOINTS - len(needed)]
    told = sorted([*needed, *others], key=lambda one: -one.size)
    notes = [issued(one, old) for one in told]
    signer = old.signing_keys().ed25519

    def goes_on_for(keys: config.SigningKeys) -> dict[str, Any]:
        named = [keys.ed25519.key.vkey, keys.mldsa44.key.vkey]
        return describe(signer, old.origin, origin, named, kept, notes)

    initialise(
        data,
        origin=origin,
        database=database,
        key_database=key_database,
        publish_seconds=old.publish_seconds,
        goes_on_for=goes_on_for,
    )


def _keep(source: Path, target: Path) -> None:
    """Copy what was kept of the old log, read-only."""
    shutil.copyfile(source, target)
    target.chmod(0o400)
    config.sync_directory(target.parent)
