"""The writer process: the sequencer behind socket pairs, with group commit.

Guarantees: while one batch commits, the next gathers in the sockets and is taken whole, up to a
bound; whatever goes wrong, the process exits and its sockets close, which every waiting caller
sees at once. It follows its parent: when every socket is closed it finishes and exits. It holds
the data directory's lock for as long as it can write.

Run by `ledger.log.client` as `python -m ledger.log.writer`.
"""

import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ledger.config import DataDirectory, load, locked
from ledger.errors import LedgerError
from ledger.log.clock import Clock, instant
from ledger.log.genesis import missing_registrations
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

#: Events taken into one transaction; a submission is never split, so one may exceed it.
MAX_BATCH: Final = 1000
_READ_BYTES: Final = 1 << 20
_LOCK_WAIT_SECONDS: Final = 15.0

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

    def announce(self, size: int) -> None:
        """Tell every worker that the log is open, and how large it is."""
        for worker in self._frames:
            worker.sendall(frame({"ready": size}))

    def run(self) -> None:
        """Serve until every worker has gone. Any exception ends the process."""
        while self._frames or self._queue:
            idle = 0.0 if self._queue else self._publisher.wait(time.monotonic())
            self._take(idle)
            if self._queue:
                self._append(self._next_batch())
            self._publisher.tick(time.monotonic())

    def _take(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            worker = key.fileobj
            assert isinstance(worker, socket.socket)
            data = worker.recv(_READ_BYTES)
            if not data:
                self._selector.unregister(worker)
                del self._frames[worker]
                worker.close()
                continue
            for message in self._frames[worker].feed(data):
                events = [event_from_json(event) for event in message["events"]]
                self._queue.append((worker, message["n"], events))

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
        erased = False
        replies: dict[socket.socket, list[bytes]] = {}
        for (worker, number, events), outcome in zip(batch, outcomes, strict=True):
            reply: dict[str, Any] = {"n": number, **outcome_to_json(outcome)}
            replies.setdefault(worker, []).append(frame(reply))
            erased = erased or (
                not isinstance(outcome, Refused) and any(event.erases for event in events)
            )
        if erased:
            # Deleted rows must not outlive the erasure in the write-ahead log.
            self._store.scrub()
        for worker, frames in replies.items():
            if worker in self._frames:
                worker.sendall(b"".join(frames))


def open_writer(
    directory: DataDirectory, workers: Sequence[int], *, accept_clock: bool
) -> tuple[Writer, int]:
    """Check the log, register new types, and make a writer; returns it and the log's size."""
    store = open_store(directory.database)
    keys = directory.signing_keys()
    clock = Clock()
    guard = Guard(directory.guard_path)
    sequencer = Sequencer(store, keys.ed25519, directory.origin, clock, guard)
    head = sequencer.check_start(accept_clock=accept_clock)
    missing = missing_registrations(store, instant(clock.now()))
    if missing:
        sequencer.append([missing])
    publisher = Publisher(store, keys, clock, directory.publish_seconds)
    return Writer(sequencer, publisher, store, workers), head.size + len(missing)


def main(arguments: Sequence[str]) -> int:
    """`DATA_DIRECTORY ACCEPT_CLOCK(0|1) DESCRIPTOR...`"""
    data, accept_clock, *descriptors = arguments
    # The parent decides when to stop: signals to the whole group must not end a transaction.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    workers = [int(descriptor) for descriptor in descriptors]
    try:
        directory = load(Path(data))
        # A predecessor that was killed may still be finishing its last transaction.
        with locked(directory, wait=_LOCK_WAIT_SECONDS):
            writer, size = open_writer(directory, workers, accept_clock=accept_clock == "1")
            writer.announce(size)
            writer.run()
    except LedgerError as error:
        _tell(workers, error.slug, error.detail)
        return 1
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is, the process ends and says so
        # Frames only: an exception's message may hold what a client sent.
        sys.stderr.write("".join(traceback.format_tb(error.__traceback__)))
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
    sys.exit(main(sys.argv[1:]))
