"""Restoring a ledger from its backups, and from a copy of the log for what came after them.

Guarantees: nothing is put in place that has not been verified whole by `fsck`, that is smaller than
the largest checkpoint known of the log or of another history, or beside whose event store the key
store cannot be right. Every erasure and expiry that the restored log records is carried out first,
on entries, sealed rows and keys. What was sealed and is lost is noted, signed by the log's key, and
declared by an entry before the service answers anything. A ledger that is there is never written
over; a restore that was interrupted leaves nothing that can be served, and can be run again.
"""

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from ledger import config
from ledger.backup.archive import EVENT_STORE, KEY_STORE, ArchiveReader, Manifest
from ledger.backup.keys import KeyTarget, release
from ledger.backup.known import issued, known_checkpoints
from ledger.backup.make import CHECKPOINT, POLICY, table_part
from ledger.backup.place import Staging
from ledger.backup.tables import fill, tables_of_stores
from ledger.backup.tail import Tail, append_tail, open_tail
from ledger.config import DataDirectory
from ledger.database import database_errors, is_postgres_url, open_database
from ledger.errors import ConfigurationError, IntegrityAlarm
from ledger.fsck import check_rows
from ledger.log.destroyed import proven
from ledger.log.tree import node_from_cells
from ledger.store import Store, open_store
from ledger.store.expiry import count_blank_tombstones, count_expired, expiry_state
from ledger.store.lost import select_undeclared
from ledger.store.postgres import holds_log
from ledger.store.records import EVENTS_TABLE, DestroyedKey
from ledger.store.rows import Rows, id_text, select_cells, select_head, select_stream_heads
from ledger.tokens import TokenStore
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.audit.trust import Trusted
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import CompactRange
from ledger_verifier.formats.policy import Policy


@dataclass(frozen=True, slots=True)
class Request:
    """What to restore, where, and what from."""

    data: Path
    archive: Path
    keys_archive: Path | None = None
    tail: Path | None = None
    known: tuple[Path, ...] = ()
    database: str | None = None
    key_database: str | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it: entries of the backup and of the ledger now, keys that erasures since the
    backup destroyed, losses of sealed fields that will be declared, entries that have expired since
    the backup, entries that have expired and of which nothing tells a retry, files moved aside, and
    the manifests of the archives."""

    backup_size: int
    size: int
    destroyed: int
    lost: int
    expired: int
    unknown: int
    aside: tuple[Path, ...]
    manifests: tuple[Manifest, ...]


def restore(request: Request) -> Restored:
    """Restore a ledger; raises ConfigurationError when it cannot be done so, IntegrityAlarm when
    what is given must not be served, each saying what to do."""
    with ExitStack() as stack:
        events = ArchiveReader(request.archive, EVENT_STORE)
        stack.callback(events.close)
        keys = None
        if request.keys_archive is not None:
            keys = ArchiveReader(request.keys_archive, KEY_STORE)
            stack.callback(keys.close)
        directory = _directory(request, events.manifest)
        signer = directory.signing_keys().ed25519
        stack.enter_context(config.locked(directory, wait=0.0))
        for archive in filter(None, (events, keys)):
            archive.check(signer.key)
            if archive.manifest.origin != directory.origin:
                raise ConfigurationError(f"The backup is of the log {archive.manifest.origin}.")
        raw_policy = _policy(directory, events)
        policy = Policy.parse(raw_policy)
        tail = None
        if request.tail is not None:
            tail = stack.enter_context(open_tail(request.tail, policy))
        staging = Staging(directory.path, _source(events, keys, tail))
        if not staging.is_ready:
            known = known_checkpoints(directory, policy, request.known)
            _check_reach(events.manifest, tail, known)
            if tail is not None:
                tail.verify(policy, known)
            run = _Run(request, directory, policy, raw_policy, events, keys, tail, known, staging)
            run.prepare()
            staging.ready()
        release(directory.key_database)
        aside = staging.finish()
    return _told(directory, [one.manifest for one in (events, keys) if one is not None], aside)


def _directory(request: Request, manifest: Manifest) -> DataDirectory:
    """The data directory as it will be: by its own settings or, where it has none, by those of the
    backup and the databases asked for."""
    path = request.data
    if (path / "ledger.toml").exists():
        directory = config.read(path)
        asked = (request.database, request.key_database)
        named = (directory.database, directory.key_database)
        if any(one not in (None, other) for one, other in zip(asked, named, strict=True)):
            raise ConfigurationError(
                f"{path / 'ledger.toml'} names other databases: change it there, or leave out "
                "--database and --key-database."
            )
        return directory
    settings = manifest.settings
    directory = DataDirectory(
        path=path,
        origin=manifest.origin,
        database=request.database or str(path / "ledger.sqlite"),
        key_database=request.key_database or str(path / "keys" / "keys.sqlite"),
        publish_seconds=settings["publish_milliseconds"] / 1000,
        event_backup_days=settings["event_backup_days"],
        key_backup_days=settings["key_backup_days"],
    )
    if not directory.keys_path.is_dir():
        raise ConfigurationError(
            f"There is no {directory.keys_path}. No backup holds the signing keys, the wrapping "
            "key and the guard: bring them back from where they are kept, then restore."
        )
    return directory


def _policy(directory: DataDirectory, events: ArchiveReader) -> bytes:
    path = directory.path / "policy"
    return path.read_bytes() if path.exists() else events.read(POLICY)


def _source(events: ArchiveReader, keys: ArchiveReader | None, tail: Tail | None) -> str:
    """What a restore is from, so that an interrupted one is known again."""
    manifests = ["" if one is None else one.manifest.encode() for one in (events, keys)]
    reached = "" if tail is None else tail.trusted.opened.checkpoint.text
    return hashlib.sha256("\0".join([*manifests, reached]).encode()).hexdigest()


def _check_reach(manifest: Manifest, tail: Tail | None, known: Sequence[Trusted]) -> None:
    """Refuse what would end before the largest known checkpoint."""
    largest = known[0]
    size = max(manifest.size, 0 if tail is None else tail.size)
    if size >= largest.size:
        return
    lacks = f"{largest.label} has {largest.size} entries"
    if tail is None:
        raise IntegrityAlarm(
            f"The backup has {manifest.size} entries, and {lacks}. A log that has lost entries "
            "must never go on. Bring the rest with --tail, from a log bundle that an auditor, a "
            "mirror or a replica has, or use a newer backup. If the entries are lost for good, "
            "only a new log can go on: hub-ledger succeed."
        )
    raise IntegrityAlarm(
        f"The tail ends at {tail.size} entries, and {lacks}. Use a newer copy of the log."
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """One restore, up to where its files can be put in place."""

    request: Request
    directory: DataDirectory
    policy: Policy
    raw_policy: bytes
    events: ArchiveReader
    keys: ArchiveReader | None
    tail: Tail | None
    known: Sequence[Trusted]
    staging: Staging

    def prepare(self) -> None:
        """Make and verify everything that is to be put in place."""
        directory, staging = self.directory, self.staging
        if directory.embedded and Path(directory.database).exists() and not self.request.replace:
            raise ConfigurationError(
                f"There is a ledger in {directory.path} already. To restore in its place, give "
                "--replace: its files are moved aside, and nothing is deleted."
            )
        key_target = KeyTarget(directory, self.keys, staging, replace=self.request.replace)
        try:
            self._make(key_target)
        except Exception:
            with suppress(*database_errors()):
                if not _is_there(directory.database):
                    staging.discard()
                    key_target.abandon()
            raise
        with closing(open_database(directory.access_database)) as database:
            # No backup holds tokens: those that are still there stay.
            TokenStore(database).create_table()

    def _make(self, key_target: KeyTarget) -> None:
        directory, staging = self.directory, self.staging
        committed = self._is_committed(directory.database)
        kept = staging.begin(committed=committed)
        if not (directory.path / "policy").exists():
            config.write_private(staging.path / "policy", self.raw_policy)
        if not (directory.path / "ledger.toml").exists():
            config.write_settings(staging.path, directory)
        staged = replace(
            directory,
            database=(
                str(staging.path / "ledger.sqlite") if directory.embedded else directory.database
            ),
            key_database=key_target.make(committed=committed, kept=kept),
        )
        with closing(open_store(staged.database)) as store:
            self._fill(store, staged, key_target, committed=committed)
            if staged.embedded:
                # Everything into the one file that is moved.
                store.scrub()

    def _fill(
        self, store: Store, staged: DataDirectory, key_target: KeyTarget, *, committed: bool
    ) -> None:
        if _is_there(staged.database) is None:
            store.create()
        with store.fill() as rows:
            if not committed:
                self._load(rows, store, key_target)
            self._verify(rows, store, staged, key_target)
            # Committing the event store is the last step: what it was restored with is finished.
            key_target.done()

    def _expected(self) -> bytes:
        """The checkpoint that the restored head is signed by."""
        tail = self.tail
        if tail is not None and tail.size > self.events.manifest.size:
            return issued(tail.trusted, self.directory)
        return self.events.read(CHECKPOINT)

    def _is_committed(self, location: str) -> bool:
        """Whether a database holds what this restore has put there before it was interrupted.
        Raises ConfigurationError when it holds another log: that is left alone."""
        if not _is_there(location):
            return False
        with closing(open_store(location)) as store:
            head = store.head()
        if head is None or head.checkpoint != self._expected():
            raise ConfigurationError(
                "The database holds a ledger already. Restore to an empty one: name it in "
                "ledger.toml, or with --database where there is no ledger.toml."
            )
        return True

    def _load(self, rows: Rows, store: Store, key_target: KeyTarget) -> None:
        tables = tables_of_stores()[0]
        unknown = [
            name
            for name in self.events.manifest.parts
            if name not in (CHECKPOINT, POLICY) and name not in map(table_part, tables)
        ]
        if unknown:
            raise IntegrityAlarm(
                f"The backup holds {unknown[0]}, which this version of hub-ledger does not know: "
                "restore it with the version that made it."
            )
        number = store.position_sql.removesuffix(" - 1")
        for table, columns in tables.items():
            if table_part(table) in self.events.manifest.parts:
                fill(rows, table, self.events.lines(table_part(table)), columns, number)
        head = select_head(rows)
        if head is None or head.checkpoint != self.events.read(CHECKPOINT):
            raise IntegrityAlarm("The backup's head is not the one that its manifest names.")
        if self.tail is not None and self.tail.size > head.size:
            keys = key_target.of_expired()
            signer = self.directory.signing_keys().ed25519
            append_tail(rows, store, head, self.tail, self._expected(), keys, signer)

    def _verify(
        self, rows: Rows, store: Store, staged: DataDirectory, key_target: KeyTarget
    ) -> None:
        """Nothing is kept that this does not find good."""
        head = select_head(rows)
        assert head is not None
        for known in self.known:
            if known.size <= head.size and _root(rows, known.size) != known.root:
                raise IntegrityAlarm(
                    f"The backup has another root at size {known.size} than {known.label}: they "
                    "are of different histories. Do not serve it; compare both with a checkpoint "
                    "that an auditor holds."
                )

        def destroyed(start: int) -> Sequence[DestroyedKey]:
            return proven(rows, store.position_sql, self.policy.log_keys(staged.origin), start)

        key_target.erase(head.size, destroyed)
        key_target.check_complete(_keys_in_use(rows))
        digest = hashlib.sha256(self.raw_policy).hexdigest()
        report = check_rows(staged, rows, store.position_sql, self.policy, digest, restoring=True)
        if report.verdict in (Verdict.FAILED, Verdict.UNVERIFIABLE):
            first = report.failures[0] if report.failures else None
            reason = report.lacking[0] if first is None else first.reason
            where = "" if first is None or first.position is None else f" (entry {first.position})"
            raise IntegrityAlarm(
                f"What the backup would restore does not verify: {reason}{where}. Nothing was put "
                "in place. Use another backup."
            )
        key_target.settle(
            destroyed, expiry_state(rows)[0], lambda streams: select_stream_heads(rows, streams)
        )


def _is_there(location: str) -> bool | None:
    """Whether the tables at a location hold a log; None when there are no tables."""
    if not is_postgres_url(location):
        return None
    with closing(psycopg.connect(location, connect_timeout=10)) as connection:
        if not holds_log(connection):
            return None
        found = connection.execute(
            f"SELECT (SELECT COUNT(*) FROM head) + (SELECT COUNT(*) FROM {EVENTS_TABLE})".encode()
        ).fetchone()
        return found is not None and bool(found[0])


def _root(rows: Rows, size: int) -> bytes | None:
    """Root of the first entries, from the cells as this transaction sees them."""
    hashes, start = [], 0
    try:
        while start < size:
            height = (size - start).bit_length() - 1
            hashes.append(
                node_from_cells(
                    lambda level, a, b: select_cells(rows, level, a, b), height, start >> height
                )
            )
            start += 1 << height
        return CompactRange(size, hashes).root()
    except FormatError:
        return None


def _keys_in_use(rows: Rows) -> set[str]:
    """Ids of the keys that sealed rows are under, and of the one that tombstones are."""
    rows.execute("SELECT key_id FROM sealed UNION SELECT key_id FROM expiry_state")
    return {str(id_text(row[0])) for row in rows.fetchall()}


def _told(
    directory: DataDirectory, manifests: Sequence[Manifest], aside: Sequence[Path]
) -> Restored:
    size = manifests[0].size
    with closing(open_store(directory.database)) as store, store.read() as rows:
        head, lost = select_head(rows), select_undeclared(rows)
        destroyed = len(store.destroyed_keys(size))
        expired, unknown = count_expired(rows, size), count_blank_tombstones(rows)
    assert head is not None
    return Restored(
        size,
        head.size,
        destroyed,
        sum(note.lost.entries for note in lost),
        expired,
        unknown,
        tuple(aside),
        tuple(manifests),
    )
