"""Making a backup while the ledger is served.

Guarantees: each archive is one moment of its store; the key store's moment comes right after the
event store's, and has carried out no erasure that the event store does not record, so that the two
made together can be restored together: every key that a sealed row of the one is under is in the
other, unless it was being erased. Nothing that was erased before is in either.
"""

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger import config
from ledger.backup.archive import EVENT_STORE, KEY_STORE, ArchiveWriter, Manifest
from ledger.backup.tables import Snapshot, dump, snapshot_of, tables_of_stores
from ledger.database import is_postgres_url
from ledger.errors import Busy, ConfigurationError, IntegrityAlarm
from ledger.log.clock import Clock, instant
from ledger_verifier.formats.checkpoint import Checkpoint, open_checkpoint
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import VerifierKey

CHECKPOINT: Final = "checkpoint"
POLICY: Final = "policy"
#: How often two moments are taken until they suit each other.
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Made:
    """What was backed up: the checkpoint of the event store, and the manifests of the archives."""

    events: Manifest
    keys: Manifest | None


def table_part(table: str) -> str:
    """The part of an archive that a table is in."""
    return f"tables/{table}"


def back_up(data: Path, to: Path, keys_to: Path | None) -> Made:
    """Write the event store of a ledger to one archive and, if asked, its key store to another.

    Raises ConfigurationError when a file is in the way or a database is missing, and IntegrityAlarm
    when the stored head is not one that the log's key signed.
    """
    directory = config.load(data)
    if keys_to is not None and keys_to.absolute() == to.absolute():
        raise ConfigurationError("The two stores go to two files: that is what they are apart for.")
    for path in filter(None, (to, keys_to)):
        if path.resolve().is_relative_to(data.resolve()):
            raise ConfigurationError(
                f"{path} is in the data directory, where an erasure could not be told from it, and "
                "would be lost with it. Name a place apart from the ledger."
            )
    signer = directory.signing_keys().ed25519
    with ExitStack() as stack:
        events_archive = stack.enter_context(ArchiveWriter(to))
        keys_archive = None if keys_to is None else stack.enter_context(ArchiveWriter(keys_to))
        events, keys = _moments(directory, stack, both=keys_archive is not None)
        raw, checkpoint = _checkpoint(events, signer.key)
        made_at = instant(Clock().now())
        _, key_tables = tables_of_stores()
        made_keys = None
        if keys is not None and keys_archive is not None:
            # First, for while it is read the service cannot finish an erasure on SQLite.
            with closing(keys):
                applied = _applied_through(keys)
                for table in key_tables:
                    keys_archive.add(table_part(table), dump(keys, table))
            made_keys = _manifest(directory, KEY_STORE, made_at, checkpoint, keys_archive, applied)
            keys_archive.finish(made_keys, signer)
        made = _dump_events(directory, events, raw, made_at, checkpoint, events_archive)
        events_archive.finish(made, signer)
        if keys_archive is not None:
            keys_archive.keep()
        events_archive.keep()
    return Made(made, made_keys)


def _dump_events(
    directory: config.DataDirectory,
    events: Snapshot,
    raw: bytes,
    made_at: str,
    checkpoint: Checkpoint,
    archive: ArchiveWriter,
) -> Manifest:
    archive.add(CHECKPOINT, [raw])
    archive.add(POLICY, [directory.policy().encode()])
    for table in tables_of_stores()[0]:
        archive.add(table_part(table), dump(events, table))
    return _manifest(directory, EVENT_STORE, made_at, checkpoint, archive, 0)


def _moments(
    directory: config.DataDirectory, stack: ExitStack, *, both: bool
) -> tuple[Snapshot, Snapshot | None]:
    """A moment of the event store and, if asked, one of the key store that suits it."""
    for location in (directory.database, *([directory.key_database] if both else [])):
        if not is_postgres_url(location) and not Path(location).is_file():
            raise ConfigurationError(f"There is no database at {location}.")
    for _ in range(_ATTEMPTS):
        with ExitStack() as attempt:
            events = snapshot_of(directory.database)
            attempt.callback(events.close)
            if not both:
                stack.push(attempt.pop_all())
                return events, None
            keys = snapshot_of(directory.key_database)
            attempt.callback(keys.close)
            # An erasure recorded and carried out between the two would be unknown to the first.
            if _applied_through(keys) <= (events.one("SELECT size FROM head") or 0):
                stack.push(attempt.pop_all())
                return events, keys
    raise Busy("Erasures are being carried out all the time. Try again in a moment.")


def _applied_through(keys: Snapshot) -> int:
    through = keys.one("SELECT applied_through FROM vault_state")
    if through is None:
        raise IntegrityAlarm("The key store has no state row: it is not a key store.")
    return int(through)


def _checkpoint(events: Snapshot, key: VerifierKey) -> tuple[bytes, Checkpoint]:
    raw = events.one("SELECT checkpoint FROM head")
    if raw is None:
        raise ConfigurationError("The event store holds no log: there is nothing to back up.")
    try:
        opened = open_checkpoint(bytes(raw), [key]).checkpoint
    except FormatError as error:
        raise IntegrityAlarm(
            "The stored head is not signed by this log's key: run hub-ledger fsck."
        ) from error
    return bytes(raw), opened


def _manifest(
    directory: config.DataDirectory,
    kind: str,
    made_at: str,
    checkpoint: Checkpoint,
    archive: ArchiveWriter,
    applied_through: int,
) -> Manifest:
    days = directory.event_backup_days if kind == EVENT_STORE else directory.key_backup_days
    settings = {
        "event_backup_days": directory.event_backup_days,
        "key_backup_days": directory.key_backup_days,
        "publish_milliseconds": round(1000 * directory.publish_seconds),
    }
    return Manifest(
        kind=kind,
        origin=directory.origin,
        made_at=made_at,
        horizon_days=days,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        applied_through=applied_through,
        settings=settings,
        parts=dict(sorted(archive.parts.items())),
    )
