"""The data directory: where a ledger keeps its configuration, keys, guard and embedded stores.

Guarantees: everything in it is readable by its owner alone; `create` never touches a directory
that holds a ledger already; what is read back is checked before use.

    ledger.toml      origin, databases, intervals, how long backups are kept
    lock             held exclusively by the serving process
    ledger.sqlite    the event store, unless `database` is a PostgreSQL URL
    projections.sqlite  read models of the embedded store; may be deleted at any time
    access.sqlite    tokens, as digests, unless `database` is a PostgreSQL URL
    keys/            signing keys, local wrapping keys, guard, and the embedded key store
    policy           the trust policy this ledger asks its verifiers to hold it to
"""

import fcntl
import os
import re
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.database import is_postgres_url
from ledger.errors import ConfigurationError
from ledger_verifier.formats.checkpoint import MLDSA44Cosigner
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import Ed25519Signer
from ledger_verifier.formats.policy import Policy, PolicyLog

DEFAULT_ORIGIN: Final = "hub-ledger.example/log"
#: Seconds between publications while entries arrive. Every issued checkpoint is covered by a
#: published one within 60 s; a verifier relies on that figure.
DEFAULT_PUBLISH_SECONDS: Final = 1.0
MAX_PUBLISH_SECONDS: Final = 30.0
#: Days for which backups are kept: of the event store, and of the key store. What is erased is gone
#: from every backup once the latter have passed.
DEFAULT_EVENT_BACKUP_DAYS: Final = 365
DEFAULT_KEY_BACKUP_DAYS: Final = 30
#: A restore whose files are all there and being put in place.
RESTORE_READY: Final = "restore.ready"
#: The origin of the log that goes on for this one.
_SUCCEEDED: Final = "succeeded"

_ORIGIN = re.compile(r"[a-z0-9](?:[a-z0-9.:/_-]{0,198}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The log's two keys: Ed25519 signs every checkpoint, ML-DSA-44 published ones as well."""

    ed25519: Ed25519Signer
    mldsa44: MLDSA44Cosigner


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A ledger's data directory and what its configuration file says."""

    path: Path
    origin: str
    database: str
    key_database: str
    publish_seconds: float
    event_backup_days: int = DEFAULT_EVENT_BACKUP_DAYS
    key_backup_days: int = DEFAULT_KEY_BACKUP_DAYS

    @property
    def keys_path(self) -> Path:
        return self.path / "keys"

    @property
    def guard_path(self) -> Path:
        return self.keys_path / "guard"

    @property
    def lock_path(self) -> Path:
        return self.path / "lock"

    @property
    def embedded(self) -> bool:
        """Whether the event store is the SQLite file of this directory."""
        return not is_postgres_url(self.database)

    @property
    def access_database(self) -> str:
        """Where tokens are kept: beside the log, shared by its replicas."""
        return str(self.path / "access.sqlite") if self.embedded else self.database

    @property
    def projections_database(self) -> str:
        """Where read models are kept."""
        return str(self.path / "projections.sqlite") if self.embedded else self.database

    def signing_keys(self) -> SigningKeys:
        """Load the signing keys; raises ConfigurationError when they are missing or malformed."""
        try:
            return SigningKeys(
                Ed25519Signer.parse((self.keys_path / "log-ed25519.key").read_text().strip()),
                MLDSA44Cosigner.parse((self.keys_path / "log-mldsa44.key").read_text().strip()),
            )
        except (OSError, FormatError) as error:
            raise ConfigurationError(f"The signing keys cannot be read: {error}") from error

    def wrapping_key(self) -> bytes:
        """The first local key that wraps the vault's keys; raises ConfigurationError."""
        return read_wrapping_key(wrapping_key_file(self.keys_path, 1))

    def policy(self) -> Policy:
        """The trust policy of this directory; raises ConfigurationError."""
        try:
            return Policy.parse((self.path / "policy").read_bytes())
        except (OSError, FormatError) as error:
            raise ConfigurationError(f"The policy file cannot be used: {error}") from error


def wrapping_key_file(folder: Path, version: int) -> Path:
    """Where a version of the local wrapping key is kept."""
    return folder / ("wrapping.key" if version == 1 else f"wrapping-{version}.key")


def wrapping_key_versions(folder: Path) -> list[int]:
    """Versions of the local wrapping key that are there, in order."""
    numbers = [path.stem.rpartition("-")[2] for path in folder.glob("wrapping-*.key")]
    found = {int(number) for number in numbers if number.isdecimal()} | {1}
    return sorted(version for version in found if wrapping_key_file(folder, version).exists())


def _no_wrapping_key(path: Path) -> str:
    return (
        f"The wrapping key cannot be read: {path} is not there, or is not 64 hexadecimal digits. "
        "Put it back from where the keys directory is kept, for no backup holds it; or, where "
        "another keeper has it, bring back the ledger.toml that says so."
    )


def read_wrapping_key(path: Path) -> bytes:
    """A 256-bit key from a file that holds it in hexadecimal; raises ConfigurationError."""
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise ConfigurationError(_no_wrapping_key(path)) from error
    if len(key) != 32:
        raise ConfigurationError(_no_wrapping_key(path))
    return key


def mark_succeeded(directory: DataDirectory, origin: str) -> None:
    """Note for good that the log of another origin goes on for this one; raises ConfigurationError
    when that is another one already."""
    try:
        write_private(directory.path / _SUCCEEDED, origin.encode())
    except FileExistsError:
        if _successor(directory) != origin:
            raise ConfigurationError(
                f"The log {_successor(directory)} goes on for this one already. There is one "
                "successor to a log."
            ) from None


def refuse_succeeded(directory: DataDirectory) -> None:
    """Raise ConfigurationError when another log goes on for this one."""
    successor = _successor(directory)
    if successor is not None:
        raise ConfigurationError(
            f"This log has lost entries, and the log {successor} goes on for it. It is kept to be "
            "read, and never goes on itself."
        )


def _successor(directory: DataDirectory) -> str | None:
    try:
        return (directory.path / _SUCCEEDED).read_text()
    except FileNotFoundError:
        return None


def make_owner_only(path: Path) -> None:
    """Create a directory (and missing parents) that its owner alone may enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def write_private(path: Path, content: bytes) -> None:
    """Create a file readable by its owner alone, durably; raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(directory: DataDirectory, wait: float) -> Iterator[None]:
    """Hold the data directory's lock, as whoever writes to its log must. Raises ConfigurationError
    when another process still holds it after `wait` seconds."""
    descriptor = os.open(directory.lock_path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait
    try:
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"Another process is serving {directory.path}. Stop it first."
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def create(
    path: Path,
    *,
    origin: str = DEFAULT_ORIGIN,
    database: str | None = None,
    key_database: str | None = None,
    publish_seconds: float = DEFAULT_PUBLISH_SECONDS,
) -> DataDirectory:
    """Lay out a new data directory with fresh keys; raises ConfigurationError when one is there,
    or when the origin or interval cannot be used."""
    if _ORIGIN.fullmatch(origin) is None:
        raise ConfigurationError(
            "An origin is a schema-less URL in lower case, such as ledger.example.org/concern-hub."
        )
    if not 0.05 <= publish_seconds <= MAX_PUBLISH_SECONDS:
        raise ConfigurationError(f"The publication interval is 0.05 to {MAX_PUBLISH_SECONDS} s.")
    _lay_out(path)
    ed25519, mldsa44 = Ed25519Signer.generate(origin), MLDSA44Cosigner.generate(origin)
    write_private(path / "keys" / "log-ed25519.key", ed25519.private_text.encode() + b"\n")
    write_private(path / "keys" / "log-mldsa44.key", mldsa44.private_text.encode() + b"\n")
    write_private(path / "keys" / "wrapping.key", os.urandom(32).hex().encode() + b"\n")
    policy = Policy(logs=(PolicyLog(ed25519.key), PolicyLog(mldsa44.key)))
    write_private(path / "policy", policy.encode())
    _write_settings(path, origin, database or "", key_database or "", publish_seconds)
    return load(path)


def lay_out_replica(path: Path, source: DataDirectory) -> None:
    """Lay out the data directory of another replica of a ledger: copies of its keys and policy.
    Without its settings nothing will serve it: see `make_ready`. Raises ConfigurationError when a
    ledger is there already, or when the source cannot be read."""
    wrapping = [
        f"keys/{wrapping_key_file(source.keys_path, version).name}"
        for version in wrapping_key_versions(source.keys_path)
    ]
    names = ("keys/log-ed25519.key", "keys/log-mldsa44.key", *wrapping, "policy")
    try:
        copies = {name: (source.path / name).read_bytes() for name in names}
    except OSError as error:
        raise ConfigurationError(f"{source.path} lacks a key or its policy.") from error
    _lay_out(path)
    for name, content in copies.items():
        write_private(path / name, content)


def make_ready(path: Path, source: DataDirectory) -> DataDirectory:
    """Give a replica's data directory the settings of its source: from here on it can be served."""
    write_settings(path, source)
    return load(path)


def write_settings(path: Path, source: DataDirectory) -> None:
    """Write the settings of `source` as those of the directory at `path`; raises FileExistsError.
    Databases that are files of `source` are files of that directory."""
    embedded = (str(source.path / "ledger.sqlite"), str(source.path / "keys" / "keys.sqlite"))
    database, key_database = (
        "" if given == usual else given
        for given, usual in zip((source.database, source.key_database), embedded, strict=True)
    )
    _write_settings(
        path,
        source.origin,
        database,
        key_database,
        source.publish_seconds,
        (source.event_backup_days, source.key_backup_days),
        _tables_of(source.path / "ledger.toml"),
    )


def _lay_out(path: Path) -> None:
    if (path / "ledger.toml").exists() or (path / "keys").exists():
        raise ConfigurationError(
            f"{path} holds a ledger already. A log is created once; to start another, choose "
            "another directory."
        )
    make_owner_only(path)
    make_owner_only(path / "keys")


def _write_settings(
    path: Path,
    origin: str,
    database: str,
    key_database: str,
    publish_seconds: float,
    days: tuple[int, int] = (DEFAULT_EVENT_BACKUP_DAYS, DEFAULT_KEY_BACKUP_DAYS),
    tables: str = "",
) -> None:
    lines = [
        f'origin = "{origin}"',
        f'database = "{_toml(database)}"',
        f'key_database = "{_toml(key_database)}"',
        f"publish_seconds = {publish_seconds}",
        f"event_backup_days = {days[0]}",
        f"key_backup_days = {days[1]}",
    ]
    write_private(path / "ledger.toml", ("\n".join(lines) + "\n" + tables).encode())


def _tables_of(file: Path) -> str:
    """What follows the plain settings of a configuration file, if there is one: its tables, as they
    stand."""
    if not file.exists():
        return ""
    lines = file.read_text().splitlines(keepends=True)
    first = next((at for at, line in enumerate(lines) if line.startswith("[")), len(lines))
    return "".join(lines[first:])


def _toml(text: str) -> str:
    if any(character in text for character in '"\\') or not text.isprintable():
        raise ConfigurationError("A database URL may not hold quotation marks or backslashes.")
    return text


def load(path: Path) -> DataDirectory:
    """Read a data directory's configuration; raises ConfigurationError saying what to do."""
    if (path / RESTORE_READY).exists():
        raise ConfigurationError(
            f"A restore of {path} was interrupted when everything was ready. Run the same restore "
            "again: it puts the rest in place."
        )
    directory = read(path)
    if not 0 < directory.key_backup_days < directory.event_backup_days:
        raise ConfigurationError(
            "Backups of the key store (key_backup_days) must be kept for fewer days than those of "
            "the event store (event_backup_days): what is erased is gone when they have passed."
        )
    return directory


def read(path: Path) -> DataDirectory:
    """What `load` reads, also while a restore is being put in place."""
    try:
        values = tomllib.loads((path / "ledger.toml").read_text())
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no ledger in {path}. Create one with: hub-ledger init --data {path}"
        ) from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path / 'ledger.toml'} cannot be read.") from error
    try:
        return DataDirectory(
            path=path,
            origin=str(values["origin"]),
            database=str(values["database"]) or str(path / "ledger.sqlite"),
            key_database=str(values["key_database"]) or str(path / "keys" / "keys.sqlite"),
            publish_seconds=float(values["publish_seconds"]),
            event_backup_days=int(values.get("event_backup_days", DEFAULT_EVENT_BACKUP_DAYS)),
            key_backup_days=int(values.get("key_backup_days", DEFAULT_KEY_BACKUP_DAYS)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path / 'ledger.toml'} lacks or garbles a setting.") from error
