"""The API worker's end of the writer process.

Guarantees: `submit` returns an outcome that is durable, or raises: Busy when the bounded queue is
full (nothing was sent), WriterLost when the writer ended before it answered (the outcome is
unknown, and a retry finds it out). When the writer ends, every waiting call fails at once and
`closed` resolves.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ledger.errors import Busy, IntegrityAlarm, LedgerError, WriterLost
from ledger.log.messages import (
    Frames,
    Outcome,
    PreparedEvent,
    Refused,
    event_to_json,
    frame,
    outcome_from_json,
)

#: Events that may wait for the writer; beyond this a caller is told to come back.
MAX_WAITING: Final = 10_000
_READ_BYTES: Final = 1 << 20
_STOP_SECONDS: Final = 20.0


class WriterClient:
    """A running writer process and the submissions waiting for it."""

    #: Entries that this machine's guard is known to cover.
    _covered = 0

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self._waiting: dict[int, tuple[asyncio.Future[Outcome], int]] = {}
        self._events_waiting = 0
        self._signing: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._unsent: list[bytes] = []
        self.last_words = ""
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, data: Path, *, accept_clock: bool = False) -> "WriterClient":
        """Start the writer of a data directory and wait until it has checked the log.

        Raises IntegrityAlarm (or what the writer said) when it refuses to serve.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: ASYNC220 - forks once at start
                [
                    sys.executable,
                    "-m",
                    "ledger.log.writer",
                    str(data),
                    "1" if accept_clock else "0",
                    str(theirs.fileno()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours, limit=_READ_BYTES)
        client = cls(process, reader, writer)
        try:
            await client._ready
        except LedgerError:
            await client.stop()
            raise
        return client

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def waiting_events(self) -> int:
        """Events sent and not answered yet."""
        return self._events_waiting

    async def submit(self, events: Sequence[PreparedEvent]) -> Outcome:
        """Append a submission; raises Busy or WriterLost."""
        if self.closed.done():
            raise WriterLost("The writer has stopped; nothing was recorded. Try again later.")
        if self._events_waiting and self._events_waiting + len(events) > MAX_WAITING:
            raise Busy("Too many events are waiting to be recorded. Try again in a second.")
        self._number += 1
        number = self._number
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (future, len(events))
        self._events_waiting += len(events)
        self._send(frame({"n": number, "events": [event_to_json(event) for event in events]}))
        try:
            return await future
        finally:
            self._forget(number)

    async def cover(self, size: int) -> None:
        """Return once this machine's guard remembers a tree of at least that committed size, as it
        must before a checkpoint of it is shown; raises Busy or WriterLost."""
        if size <= self._covered:
            return
        try:
            # An append of nothing: the writer answers one batch after another, and with every one
            # takes the guard forward to the head.
            await self.submit([])
        except WriterLost as error:
            raise WriterLost(
                "The writer stopped before this machine could vouch for what the log holds. Send "
                "the same request again."
            ) from error
        self._covered = max(self._covered, size)

    async def sign(self, statement: str) -> bytes:
        """The signed note of a statement of the log; raises WriterLost."""
        if self.closed.done():
            raise WriterLost("The writer has stopped; nothing was signed. Try again later.")
        self._number += 1
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._signing[self._number] = future
        self._send(frame({"n": self._number, "statement": statement}))
        return await future

    def _send(self, data: bytes) -> None:
        """Write what one turn of the event loop brings together, at its end, in one piece."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(data)

    def _flush(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        self._writer.write(data)

    def _forget(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            self._events_waiting -= waiting[1]

    async def _read(self) -> None:
        frames = Frames()
        try:
            while data := await self._reader.read(_READ_BYTES):
                for message in frames.feed(data):
                    self._take(message)
        except (OSError, ValueError) as error:
            self.last_words = self.last_words or type(error).__name__
        finally:
            self._fail_all()

    def _take(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._covered = message["ready"]
            self._ready.set_result(message["ready"])
        elif "fatal" in message:
            self.last_words = message["detail"]
            if not self._ready.done():
                self._ready.set_exception(IntegrityAlarm(message["detail"]))
        elif "signed" in message:
            signed = self._signing.pop(message["n"])
            if not signed.done():
                signed.set_result(message["signed"].encode())
        else:
            future, _ = self._waiting.get(message["n"], (None, 0))
            outcome = outcome_from_json(message)
            if not isinstance(outcome, Refused) and outcome.events:
                self._covered = max(self._covered, outcome.events[-1].position + 1)
            if future is not None and not future.done():
                future.set_result(outcome)

    def _fail_all(self) -> None:
        if not self._ready.done():
            self._ready.set_exception(IntegrityAlarm("The writer process did not start."))
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(
                    WriterLost(
                        "The writer stopped before it answered. Send the same event again: it "
                        "will be recorded once."
                    )
                )
        for signed in self._signing.values():
            if not signed.done():
                signed.set_exception(
                    WriterLost("The writer stopped before it signed. Send the same request again.")
                )
        if not self.closed.done():
            self.closed.set_result(self.last_words or "the writer process ended")

    async def stop(self) -> None:
        """Close the socket and wait for the writer to finish and exit."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        await asyncio.to_thread(self._wait)
        await self._task

    def _wait(self) -> None:
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
