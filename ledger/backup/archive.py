"""The archive of a backup: one ZIP file of plain parts, and a manifest that the log's key signs.

Guarantees: an archive has its name only once it is whole and durable, and no file is ever written
over. What is read from one is read under a manifest whose Ed25519 signature is the log's, and only
as far as the SHA-256 of each part is the one that the manifest states. The manifest is a signed
note (C2SP signed-note) whose second line no checkpoint can have, so that neither passes for the
other. An archive of the event store holds no key, and one of the key store no key in the clear.

Format: docs/backup.md.
"""

import fcntl
import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.config import sync_directory
from ledger.errors import ConfigurationError, IntegrityAlarm
from ledger_verifier.formats.entry import canonical, is_instant, load_canonical
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import (
    SIG_ED25519,
    Ed25519Signer,
    Note,
    SignatureLine,
    VerifierKey,
)

FORMAT: Final = "hub-ledger/backup@v1"
EVENT_STORE: Final = "event-store"
KEY_STORE: Final = "key-store"
MANIFEST: Final = "manifest"
_MAX_MANIFEST: Final = 1 << 20
_PIECE: Final = 1 << 20
_DATE: Final = (1980, 1, 1, 0, 0, 0)
#: What a damaged archive makes its reader raise, besides what is its own.
_DAMAGED: Final = (zlib.error, EOFError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an archive: its bytes, and their SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive is: of which store and log, made when, and to be destroyed after how many
    days; the size and root of the log then; for a key store also the tree size through which
    erasures had been carried out. `settings` are those of `ledger.toml` that hold no secret."""

    kind: str
    origin: str
    made_at: str
    horizon_days: int
    size: int
    root: str
    applied_through: int
    settings: dict[str, int]
    parts: dict[str, Part]

    @property
    def destroy_by(self) -> date:
        """The last day on which this archive may still exist."""
        return date.fromisoformat(self.made_at[:10]) + timedelta(days=self.horizon_days)

    def encode(self) -> str:
        """The text that is signed."""
        parts = {name: {"sha256": p.sha256, "size": p.size} for name, p in self.parts.items()}
        value = {
            "applied_through": self.applied_through,
            "horizon_days": self.horizon_days,
            "kind": self.kind,
            "made_at": self.made_at,
            "origin": self.origin,
            "parts": parts,
            "root": self.root,
            "settings": self.settings,
            "size": self.size,
        }
        return f"{FORMAT}\n{canonical(value).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Manifest":
        """Read the text of a manifest; raises IntegrityAlarm."""
        first, _, rest = text.partition("\n")
        if first != FORMAT:
            raise IntegrityAlarm(
                "The backup's manifest is of another format: a newer version of hub-ledger may "
                "know it."
            )
        try:
            value = load_canonical(rest.removesuffix("\n").encode())
            parts = {
                name: Part(int(part["size"]), str(part["sha256"]))
                for name, part in value.pop("parts").items()
            }
            manifest = cls(parts=parts, **value)
            whole = manifest.encode() == text and is_instant(manifest.made_at)
        except (FormatError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityAlarm("The backup's manifest is not one.") from error
        if not whole or manifest.kind not in (EVENT_STORE, KEY_STORE):
            raise IntegrityAlarm("The backup's manifest is not one.")
        return manifest


class ArchiveWriter:
    """Writes an archive beside the place it will have. Use as a context manager; without `keep`
    nothing is left."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise ConfigurationError(f"{path} exists already. A backup overwrites nothing.")
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ConfigurationError(f"Another backup is being written to {path}.") from None
        # What a backup that was killed has left.
        self._file.truncate(0)
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self.parts: dict[str, Part] = {}

    def __enter__(self) -> "ArchiveWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._partial.unlink(missing_ok=True)
        # What is given up needs no directory, which would be written when nobody expects it.
        self._zip.fp = None
        self._file.close()

    def add(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a part."""
        digest, size = hashlib.sha256(), 0
        with self._zip.open(_member(name), "w", force_zip64=True) as part:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                part.write(piece)
        self.parts[name] = Part(size, digest.hexdigest())

    def finish(self, manifest: Manifest, signer: Ed25519Signer) -> None:
        """Sign the manifest and make everything durable; the archive has no name yet."""
        text = manifest.encode()
        with self._zip.open(_member(MANIFEST), "w") as part:
            part.write(Note(text, (signer.sign(text),)).encode())
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())

    def keep(self) -> None:
        """Give the archive its name; raises FileExistsError when something else has it by now."""
        os.link(self._partial, self._path)
        self._partial.unlink()
        sync_directory(self._path.parent)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


class ArchiveReader:
    """Reads an archive. `check` comes before anything that is read from it is used."""

    def __init__(self, path: Path, kind: str) -> None:
        """Raises ConfigurationError when the file is no backup or one of another kind, and
        IntegrityAlarm when it has no manifest that can be read."""
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
            self._note = Note.parse(self._read(MANIFEST, _MAX_MANIFEST))
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
        except (zipfile.BadZipFile, KeyError) as error:
            raise ConfigurationError(
                f"{path} is not a backup of hub-ledger, or is cut short."
            ) from error
        except (FormatError, *_DAMAGED) as error:
            raise IntegrityAlarm(f"The manifest of {path} cannot be read.") from error
        self.manifest = Manifest.parse(self._note.text)
        if self.manifest.kind != kind:
            option = "--from" if kind == KEY_STORE else "--keys-from"
            raise ConfigurationError(
                f"{path} is a backup of the {self.manifest.kind.replace('-', ' ')}: give it after "
                f"{option}."
            )

    def close(self) -> None:
        self._zip.close()

    def check(self, key: VerifierKey) -> None:
        """Hold signature and digests against the log's Ed25519 key; raises IntegrityAlarm."""
        if not any(_is_signed(self._note, line, key) for line in self._note.signatures):
            raise IntegrityAlarm(
                f"The manifest of {self._path} is not signed by this log's key: it is a backup of "
                "another log, or was altered."
            )
        names = sorted(self._zip.namelist())
        if names != sorted([*self.manifest.parts, MANIFEST]):
            raise IntegrityAlarm(f"{self._path} does not hold the parts that its manifest lists.")
        for name in self.manifest.parts:
            for _ in self.pieces(name):
                pass

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of a part. Raises IntegrityAlarm, at the end at the latest, when they are not
        those of the manifest."""
        expected = self.manifest.parts[name]
        digest, size = hashlib.sha256(), 0
        try:
            with self._open(name) as part:
                # A part that is longer than stated is not read to its end.
                while size <= expected.size and (piece := part.read(_PIECE)):
                    digest.update(piece)
                    size += len(piece)
                    yield piece
        except (zipfile.BadZipFile, OSError, *_DAMAGED) as error:
            raise IntegrityAlarm(f"{name} in {self._path} is damaged.") from error
        if (size, digest.hexdigest()) != (expected.size, expected.sha256):
            raise IntegrityAlarm(f"{name} in {self._path} is not what the manifest signs.")

    def read(self, name: str) -> bytes:
        """A small part; raises IntegrityAlarm when there is none of that name, too."""
        if name not in self.manifest.parts:
            raise IntegrityAlarm(f"{self._path} lacks its part {name}.")
        return b"".join(self.pieces(name))

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a part, without their ends."""
        rest = b""
        for piece in self.pieces(name):
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
        if rest:
            yield rest

    def _read(self, name: str, limit: int) -> bytes:
        with self._open(name) as part:
            return part.read(limit)

    def _open(self, name: str) -> IO[bytes]:
        """A member, unpacked as it is read: of the other methods zipfile unpacks much at once,
        before anything tells whether that is what was signed."""
        member = self._zip.getinfo(name)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile("packed by a method that no backup uses")
        return self._zip.open(member)


def _is_signed(note: Note, line: SignatureLine, key: VerifierKey) -> bool:
    if (line.name, line.key_id, key.sig_type) != (key.name, key.key_id, SIG_ED25519):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(
            line.signature, note.text.encode()
        )
    except InvalidSignature:
        return False
    return True
