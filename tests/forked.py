"""The processes of a test's ledger, forked from one that has loaded already what they run.

A ledger under test has a writer and a projector as one in service has, each a process of its own
with nothing of the test's memory. Started as commands, as `tests/api`, `tests/faults` and
`tests/replicas` do, each would load the same code again, which costs more than most tests.
"""

import asyncio
import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

import ledger.application
import ledger.log.client
from ledger.errorlog import install
from ledger.log import writer
from ledger.projections import runner

FORKS: Final = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["pytest", "tests.forked", "tests.faults.struck", "ledger.store.postgres", "tests.loaded"]
)
_STOP_SECONDS: Final = 10.0


class Forked:
    """What is asked of a `subprocess.Popen`, of a forked process."""

    def __init__(self, target: Callable[..., None], data: str, *arguments: Any) -> None:
        self._process = FORKS.Process(target=target, args=(data, *arguments), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def wait(self, timeout: float | None = None) -> None:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("forked", timeout or 0.0)

    def kill(self) -> None:
        self._process.kill()


def _write(data: str, accept_clock: str, end: socket.socket) -> None:
    install()
    sys.exit(writer.main([data, accept_clock, str(end.detach())]))


def _project(data: str, end: socket.socket) -> None:
    install()
    # It ends when this does.
    os.dup2(end.detach(), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.exit(runner.main([data]))


def _start_writer(command: Sequence[str], pass_fds: Sequence[int], **others: Any) -> Forked:
    assert others.keys() == {"stdin"}
    _, _, module, data, accept_clock, descriptor = command
    assert (module, [int(descriptor)]) == ("ledger.log.writer", list(pass_fds))
    with socket.socket(fileno=os.dup(int(descriptor))) as end:
        return Forked(_write, data, accept_clock, end)


@contextlib.asynccontextmanager
async def _projecting(data: Path) -> AsyncIterator[None]:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = Forked(_project, str(data), theirs)
        yield
    try:
        await asyncio.to_thread(process.wait, _STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


@contextlib.contextmanager
def forked_processes() -> Iterator[None]:
    """Within this, ledgers that are opened have forked processes."""
    with pytest.MonkeyPatch.context() as patched:
        started = SimpleNamespace(
            Popen=_start_writer,
            DEVNULL=subprocess.DEVNULL,
            TimeoutExpired=subprocess.TimeoutExpired,
        )
        patched.setattr(ledger.log.client, "subprocess", started)
        patched.setattr(ledger.application, "projecting", _projecting)
        yield
