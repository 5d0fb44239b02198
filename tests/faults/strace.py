"""Fail the writer's own system calls, one at a time, and see what is left: SQLite only.

Run by `make strace` as `python -m tests.faults.strace`, where `strace` may trace processes. For
each kind of call by which the writer makes something durable or answers, the N-th call fails with
an error of the disk, or the process is killed as it makes it. After each: what was acknowledged is
there, once; the ledger opens by itself; every event is recorded by a retry; fsck verifies the log.
Exit code 0 only when all of that held, and every kind of call was reached.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import ErasurePending, WriterLost
from ledger.fsck import check
from ledger.initialise import initialise
from ledger.submission import Submission
from ledger_verifier.audit.report.model import Verdict
from tests.faults.account import Acknowledged, count
from tests.ledger.acts import act, credential, identified

ANY = credential(Role.DPO)
#: The calls by which the writer writes, makes durable, shortens a file, and answers. Neither it nor
#: SQLite in this mode renames anything.
CALLS = ("pwrite64", "fdatasync", "ftruncate", "sendto")
HOW = ("error=EIO", "error=ENOSPC", "signal=KILL")
#: Events offered to each life of the writer; every fifth one is an erasure.
EVENTS = 30


@dataclass(frozen=True, slots=True)
class Injection:
    """The N-th call of a kind, and what becomes of it."""

    call: str
    how: str
    number: int

    def __str__(self) -> str:
        return f"{self.call}:{self.how}:when={self.number}"


def injections(depth: int) -> list[Injection]:
    """All of them, to that many calls of each kind."""
    return [
        Injection(call, how, number)
        for call in CALLS
        for how in HOW
        for number in range(1, depth + 1)
        if not (call == "sendto" and "ENOSPC" in how)
    ]


class Tracer:
    """strace on a running process; raises RuntimeError when it may not trace it."""

    def __init__(self, pid: int, injection: Injection) -> None:
        self._process = subprocess.Popen(
            f"strace -f -p {pid} -e trace={injection.call} -e inject={injection}".split(),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        if "attached" not in said:
            self._process.wait()
            raise RuntimeError(f"strace cannot trace here: {said.strip()}")

    def finish(self) -> bool:
        """Wait for strace to end with its process; whether the injection was reached."""
        _, said = self._process.communicate(timeout=60)
        return "(INJECTED)" in said or "killed by SIGKILL" in said


def offered() -> list[Submission]:
    """What is recorded while calls fail: identifications, and erasures of some of them."""
    events: list[Submission] = []
    for number in range(EVENTS):
        erases = number % 5 == 4
        events.append(act("erasure.executed", events[-1].stream) if erases else identified())
    return events


async def offer(ledger: Ledger, events: Sequence[Submission], told: list[Acknowledged]) -> None:
    for event in events:
        (done,) = await ledger.record(ANY, [event])
        told.append(Acknowledged(event.id, done.position, done.receipt))


async def one(directory: DataDirectory, injection: Injection, told: list[Acknowledged]) -> bool:
    """One life under an injection and one after it; whether it was reached."""
    events = offered()
    async with Ledger.open(directory.path) as ledger:
        tracer = await asyncio.to_thread(Tracer, ledger.writer_pid, injection)
        try:
            await offer(ledger, events, told)
        except (WriterLost, ErasurePending):
            await ledger.closed
    reached = await asyncio.to_thread(tracer.finish)
    async with Ledger.open(directory.path) as ledger:
        await offer(ledger, events, told)
    return reached


async def run(directory: DataDirectory, todo: Sequence[Injection]) -> bool:
    """All injections on one ledger; prints a line for each kind; whether all was well."""
    told: list[Acknowledged] = []
    reached: dict[str, int] = {}
    for injection in todo:
        kind = f"{injection.call} {injection.how}"
        reached[kind] = reached.get(kind, 0) + await one(directory, injection, told)
        if not count(directory, told).whole:
            print(f"{injection}: {count(directory, told)}")
            return False
    verdict = check(directory).verdict
    for kind, times in reached.items():
        print(f"{kind:24} reached {times}")
    total = count(directory, told)
    print(f"{total.acknowledged} acknowledged, {total.lost} lost, {total.doubled} doubled")
    print(f"fsck {verdict.value}")
    return verdict is Verdict.VERIFIED and all(reached.values())


def main(arguments: Sequence[str]) -> int:
    """`--depth N`"""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.strace", description=__doc__)
    parser.add_argument("--depth", type=int, default=8, help="calls of each kind that fail")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hub-ledger-strace-") as folder:
        directory = initialise(Path(folder) / "data", publish_seconds=0.1)
        # The frames that a failing writer leaves on standard error are expected here.
        with (Path(folder) / "log").open("wb") as log:
            os.dup2(log.fileno(), sys.stderr.fileno())
        try:
            fine = asyncio.run(run(directory, injections(options.depth)))
        except (RuntimeError, FileNotFoundError) as error:
            print(f"strace cannot be used here: {error}")
            return 2
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
