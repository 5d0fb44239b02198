"""A log as an auditor meets it, as a target: saved as a bundle, or served over HTTP by whoever
holds it. The auditor has kept the checkpoints published before, unless an attack says otherwise."""

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.readers.http import HttpLogReader
from ledger_verifier.audit.report.build import failed_report
from ledger_verifier.audit.report.model import Report
from ledger_verifier.audit.trust import earlier_checkpoint
from ledger_verifier.formats.bundle import BundleReader, write_bundle
from ledger_verifier.formats.errors import BundleError
from ledger_verifier.formats.tiles import decode_entries, encode_entries
from tests.tamper import forge
from tests.tamper.forge import Signing
from tests.tamper.subject import Subject
from tests.verifier.audit.world import TOKEN, LogServer, tree_members

KEPT = "a checkpoint that the auditor kept"


@dataclass(slots=True)
class Served:
    """What is given to an auditor, by path, for an attack to change."""

    subject: Subject
    server: LogServer | None
    members: dict[str, bytes]
    earlier: list[bytes] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.subject.entries)

    @property
    def live(self) -> bool:
        return self.server is not None

    @property
    def signing(self) -> Signing:
        return Signing.real(self.subject.directory)

    def report(self) -> Report:
        policy = self.subject.directory.policy()
        earlier = [earlier_checkpoint(raw, policy, KEPT) for raw in self.earlier]
        options = Options(wait=0.0, unique=True)
        if self.server is not None:
            self.server.members = self.members
            http = HttpLogReader(self.server.url, TOKEN)
            try:
                return verify_log(http, policy, earlier=earlier, options=options)
            finally:
                http.close()
        file = io.BytesIO()
        write_bundle(file, self.members.items())
        try:
            bundle = BundleReader(file)
        except BundleError as error:
            return failed_report("log bundle", policy, "", str(error))
        return verify_log(BundleLogReader(bundle), policy, earlier=earlier, options=options)

    def entries(self) -> list[bytes]:
        return list(self.subject.entries)

    def set_entry(self, position: int, raw: bytes) -> None:
        """Other bytes at a position of an entry bundle."""
        tile = forge.tile_of(None, position, self.size)
        entries = decode_entries(self.members[tile.path], tile.width)
        entries[position - tile.start] = raw
        self.members[tile.path] = encode_entries(entries)

    def set_cell(self, level: int, index: int, value: bytes) -> None:
        """Another hash in a tile."""
        tile = forge.tile_of(level, index, self.size)
        data = bytearray(self.members[tile.path])
        data[32 * (index - tile.start) : 32 * (index - tile.start + 1)] = value
        self.members[tile.path] = bytes(data)

    def set_entries(self, entries: Sequence[bytes]) -> None:
        """Other entries under the hash tiles as they are."""
        fresh = tree_members(entries)
        self.members |= {path: fresh[path] for path in fresh if path.startswith("tile/entries/")}

    def forge(self, entries: Sequence[bytes]) -> None:
        """The whole log anew, signed by the real key, for an auditor who kept nothing."""
        self.earlier = []
        self.rewrite(entries, self.signing)

    def rewrite(self, entries: Sequence[bytes], signing: Signing) -> None:
        """Another log, with everything that belongs to it."""
        checkpoint = signing.published(len(entries), forge.root(entries))
        self.members = {**tree_members(entries), "checkpoint": checkpoint}


class _Server(LogServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Auditors hang up on whoever serves nonsense; that is no news."""


class BundleTarget:
    """A log bundle."""

    name = "log bundle"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        *earlier, newest = subject.publications
        self._members = {**tree_members(subject.entries), "checkpoint": newest[1]}
        self._earlier = [raw for _, raw in earlier]

    @contextmanager
    def stage(self) -> Iterator[Served]:
        yield Served(self._subject, None, dict(self._members), list(self._earlier))


class HttpTarget(BundleTarget):
    """Tiles and entries over HTTP. Close it after use."""

    name = "served tiles"

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._server = _Server({})
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def stage(self) -> Iterator[Served]:
        yield Served(self._subject, self._server, dict(self._members), list(self._earlier))
