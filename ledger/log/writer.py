"""The writer process: the sequencer behind socket pairs, with group commit.

Guarantees: while one batch commits, the next gathers in the sockets and is taken whole, up to a
bound; whatever goes wrong, the process exits and its sockets close, which every waiting caller
sees at once. It follows its parent: when every socket is closed it finishes and exits. It holds
the data directory's lock for as long as it can write.

Run by `ledger.log.client` as `python -m ledger.log.writer`.
"""

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ledger.collector import settle
from ledger.config import DataDirectory, SigningKeys, load, locked, refuse_succeeded
from ledger.errorlog import install, log_error
from ledger.errors import IntegrityAlarm, LedgerError
from ledger.log.clock import Clock, instant
from ledger.log.genesis import declarations, missing_registrations
from ledger.log.guard import Guard
from ledger.log.messages import (
    Frames,
    PreparedEvent,
    Refused,
    event_from_json,
    frame,
    outcome_to_json,
)
from ledger.log.publisher import Publisher
from ledger.log.sequencer import Sequencer
from ledger.store import Store, open_store
from ledger_verifier.formats import entry as entries
from ledger_verifier.meaning.schemas import RESERVED_TYPES

#: Events taken into one transaction; a submission is never split, so one may exceed it.
MAX_BATCH: Final = 1000
_READ_BYTES: Final = 1 << 20
_LOCK_WAIT_SECONDS: Final = 15.0
#: Seconds between attempts to empty the write-ahead log while readers are in the way: each writes
#: what it can of it into the database.
_SCRUB_SECONDS: Final = 1.0

Request = tuple[socket.socket, int, list[PreparedEvent]]


class Writer:
    """Reads submissions from workers, appends them in batches, answers each."""

    def __init__(
        self, sequencer: Sequencer, publisher: Publisher, store: Store, workers: Sequence[int]
    ) -> None:
        self._sequencer, self._publisher, self._store = sequencer, publisher, store
        self._selector = selectors.DefaultSelector()
        self._frames: dict[socket.socket, Frames] = {}
        for descriptor in workers:
            worker = socket.socket(fileno=descriptor)
            self._frames[worker] = Frames()
            self._selector.register(worker, selectors.EVENT_READ)
        self._queue: list[Request] = []
        # A predecessor may have died between an erasure and this; and what it could not make
        # durable may be in the log's cached pages all the same, where no later fsync sees it.
        self._unscrubbed, self._scrub_due = True, 0.0
        self._expired = store.expired_through() > 0

    def announce(self, size: int) -> None:
        """Tell every worker that the log is open, and how large it is."""
        self._scrub()
        for worker in self._frames:
            _send(worker, frame({"ready": size}))

    def run(self) -> None:
        """Serve until every worker has gone. Any exception ends the process."""
        while self._frames or self._queue:
            idle = 0.0 if self._queue else self._publisher.wait(time.monotonic())
            self._take(idle)
            if self._queue:
                self._append(self._next_batch())
            self._publisher.tick(time.monotonic())
            self._scrub()

    def _take(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            worker = key.fileobj
            assert isinstance(worker, socket.socket)
            data = _receive(worker)
            if not data:
                self._selector.unregister(worker)
                del self._frames[worker]
                worker.close()
                continue
            for message in self._frames[worker].feed(data):
                if "statement" in message:
                    signed = self._sequencer.sign_statement(message["statement"])
                    _send(worker, frame({"n": message["n"], "signed": signed.decode()}))
                    continue
                events = [event_from_json(event) for event in message["events"]]
                _refuse_reserved(events)
                self._queue.append((worker, message["n"], events))

    def _scrub(self) -> None:
        """Deleted rows must not outlive an erasure in the write-ahead log: try until no reader is
        in the way."""
        if self._unscrubbed and time.monotonic() >= self._scrub_due:
            self._unscrubbed = not self._store.scrub(expired=self._expired)
            self._expired = self._expired and self._unscrubbed
            self._scrub_due = time.monotonic() + _SCRUB_SECONDS

    def _next_batch(self) -> list[Request]:
        taken, events = 0, 0
        for _, _, submission in self._queue:
            if taken and events + len(submission) > MAX_BATCH:
                break
            taken, events = taken + 1, events + len(submission)
        batch, self._queue = self._queue[:taken], self._queue[taken:]
        return batch

    def _append(self, batch: list[Request]) -> None:
        outcomes = self._sequencer.append([events for _, _, events in batch])
        removed = False
        replies: dict[socket.socket, list[bytes]] = {}
        for (worker, number, events), outcome in zip(batch, outcomes, strict=True):
            reply: dict[str, Any] = {"n": number, **outcome_to_json(outcome)}
            replies.setdefault(worker, []).append(frame(reply))
            if isinstance(outcome, Refused):
                continue
            expired = any(event.expires for event in events)
            self._expired = self._expired or expired
            removed = removed or expired or any(event.erases for event in events)
        if removed:
            self._unscrubbed, self._scrub_due = True, 0.0
            self._scrub()
        for worker, frames in replies.items():
            if worker in self._frames:
                _send(worker, b"".join(frames))


def _receive(worker: socket.socket) -> bytes:
    """What a worker sent; nothing when it has gone, however it went."""
    try:
        return worker.recv(_READ_BYTES)
    except ConnectionError:
        return b""


def _send(worker: socket.socket, data: bytes) -> None:
    """Answer a worker. One that has gone is found so when it is next read from."""
    with contextlib.suppress(ConnectionError):
        worker.sendall(data)


def _refuse_reserved(events: Sequence[PreparedEvent]) -> None:
    if any(event.entry.get("type") in RESERVED_TYPES for event in events):
        raise IntegrityAlarm("A worker prepared an entry that the service alone records.")


def _open_guard(directory: DataDirectory) -> Guard:
    try:
        return Guard(directory.guard_path)
    except OSError as error:
        raise IntegrityAlarm(
            f"The guard file {directory.guard_path} cannot be opened. Without it this machine "
            "cannot know what it has vouched for: bring it back from where the keys are kept."
        ) from error


def _check_keys(store: Store, keys: SigningKeys) -> None:
    """The signing keys must be those that the log named when it was opened."""
    first = store.entry(0)
    named = [] if first is None else entries.decode(first)["data"].get("keys")
    if named != [keys.ed25519.key.vkey, keys.mldsa44.key.vkey]:
        raise IntegrityAlarm(
            "The signing keys in keys/ are not those that the log was opened with. Put back the "
            "right ones."
        )


def open_writer(
    directory: DataDirectory, workers: Sequence[int], *, accept_clock: bool
) -> tuple[Writer, int]:
    """Check the log, declare what a restore lost, register new types, and make a writer; returns it
    and the log's size."""
    store = open_store(directory.database)
    keys = directory.signing_keys()
    clock = Clock()
    guard = _open_guard(directory)
    sequencer = Sequencer(store, keys.ed25519, directory.origin, clock, guard)
    head = sequencer.check_start(accept_clock=accept_clock)
    _check_keys(store, keys)
    at = instant(clock.now())
    first = [
        *declarations(store, keys.ed25519.key, head.size, at),
        *missing_registrations(store, at),
    ]
    if first:
        sequencer.append([first])
    publisher = Publisher(store, keys, clock, directory.publish_seconds, guard)
    return Writer(sequencer, publisher, store, workers), head.size + len(first)


def main(arguments: Sequence[str]) -> int:
    """`DATA_DIRECTORY ACCEPT_CLOCK(0|1) DESCRIPTOR...`"""
    data, accept_clock, *descriptors = arguments
    # The parent decides when to stop: signals to the whole group must not end a transaction.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    workers = [int(descriptor) for descriptor in descriptors]
    try:
        directory = load(Path(data))
        refuse_succeeded(directory)
        # A predecessor that was killed may still be finishing its last transaction.
        with locked(directory, wait=_LOCK_WAIT_SECONDS):
            writer, size = open_writer(directory, workers, accept_clock=accept_clock == "1")
            writer.announce(size)
            settle()
            writer.run()
    except LedgerError as error:
        _tell(workers, error.slug, error.detail)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the process ends and says so
        log_error("the writer failed", error)
        _tell(workers, "writer-failed", f"The writer failed: {type(error).__name__}.")
        return 1
    return 0


def _tell(workers: Sequence[int], slug: str, detail: str) -> None:
    """Last words to every worker; a worker that has gone does not need them."""
    for descriptor in workers:
        try:
            os.write(descriptor, frame({"fatal": slug, "detail": detail}))
        except OSError:
            continue


if __name__ == "__main__":
    install()
    sys.exit(main(sys.argv[1:]))
