"""A service under a supervisor, as an operator runs it: `hub-ledger serve` in a process of its own,
started again whenever it ends, whatever ended it, and never looked after otherwise."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

#: Seconds within which a service must be back, however often it has to be started for that.
BACK_WITHIN: Final = 60.0
STOP_WITHIN: Final = 40.0
#: Parts of a service that can be killed: the module that the process runs, or the service itself.
PARTS: Final = {
    "api": "serve",
    "writer": "ledger.log.writer",
    "projector": "ledger.projections.runner",
}


class ServiceError(Exception):
    """A service did not come back, or did not stop as it should; the message holds its log."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Service:
    """A supervised service; use `supervised`."""

    def __init__(self, data: Path) -> None:
        self._data, self.port = data, free_port()
        self._log = data.with_name(f"{data.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        # Which of its starts answers requests now; 0 when none does.
        self._answering = 0
        self._changed = asyncio.Condition()
        self._stopping = False
        #: How often it was started, and the exit codes it ended with while it was wanted.
        self.starts = 0
        self.exits: Counter[int] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def up(self, after: int = 0) -> None:
        """Wait until requests are answered, by a later start than number `after`; raises
        ServiceError when that takes too long."""

        async def answering() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: self._answering > after)

        try:
            await asyncio.wait_for(answering(), BACK_WITHIN)
        except TimeoutError:
            raise ServiceError(f"not back; its log:\n{self._tail()}") from None

    async def _answers(self, start: int) -> None:
        async with self._changed:
            self._answering = start
            self._changed.notify_all()

    async def supervise(self) -> None:
        """Start the service, again and again, until it is told to stop."""
        program = str(Path(sys.executable).with_name("hub-ledger"))
        while not self._stopping:
            command = [program, "serve", "--data", str(self._data), "--port", str(self.port)]
            with self._log.open("ab") as sink:
                # Not asyncio's own: that waits for the children that outlive a killed service.
                self._process = subprocess.Popen(  # noqa: ASYNC220 - forks once a start
                    command, stdout=subprocess.PIPE, stderr=sink
                )
            self.starts += 1
            assert self._process.stdout is not None
            with self._process.stdout as said:
                if await asyncio.to_thread(said.readline):
                    await self._answers(self.starts)
                code = await asyncio.to_thread(self._process.wait)
            await self._answers(0)
            if not self._stopping:
                self.exits[code] += 1

    async def stop(self, supervisor: "asyncio.Task[None]") -> None:
        """Stop it as an operator would; raises ServiceError unless it ends well."""
        await self.up()
        self._stopping = True
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(supervisor), STOP_WITHIN)
        except TimeoutError:
            self._process.kill()
            await supervisor
        if self._process.returncode != 0:
            raise ServiceError(f"ended with {self._process.returncode}; its log:\n{self._tail()}")

    def end(self) -> None:
        """Leave nothing running, whatever state it is in."""
        self._stopping = True
        if self._process is not None and self._process.poll() is None:
            for part in PARTS:
                self.signal(part, signal.SIGCONT)
            self._process.kill()

    def pid(self, part: str) -> int | None:
        """The process id of a part, or None when it is not running now."""
        if self._process is None or self._process.poll() is not None:
            return None
        if part == "api":
            return self._process.pid
        for pid in children_of(self._process.pid):
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if PARTS[part].encode() in command:
                    return pid
        return None

    def signal(self, part: str, number: int = signal.SIGKILL) -> bool:
        """Send a part a signal; whether it was there to receive it."""
        pid = self.pid(part)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    def _tail(self) -> str:
        return self._log.read_text("utf-8", errors="replace")[-4000:]


def children_of(pid: int) -> list[int]:
    """Process ids of a process's children, whichever of its threads started them."""
    found: list[int] = []
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(child) for child in children.read_text().split()]
    return found


@asynccontextmanager
async def supervised(data: Path) -> AsyncIterator[Service]:
    """A running service over a data directory, stopped in good order at the end."""
    service = Service(data)
    supervisor = asyncio.create_task(service.supervise())
    try:
        await service.up()
        yield service
        await service.stop(supervisor)
    finally:
        service.end()
        await supervisor
