"""Kill a service under load, again and again, and count what became of what it had acknowledged.

Run by `make kill` as `python -m tests.faults.kill --kills 200`. SIGKILL hits the API process, the
writer, the projector, or all three at once, at moments that the progress of the clients decides;
the service is started again as a supervisor would, and the clients repeat what was not answered.
Exit code 0 only when nothing was lost, nothing is there twice, and fsck verifies the log.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ledger.access import Role
from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.fsck import check
from ledger.initialise import initialise
from ledger.tokens import TokenStore
from ledger_verifier.audit.report.model import Verdict
from tests.faults.account import Count, count
from tests.faults.load import loading
from tests.faults.service import Service, supervised

#: Who is hit: mostly those whose death costs something.
TARGETS = ("writer", "writer", "api", "api", "projector", "all")
CLIENTS = 6
#: Most events acknowledged between one kill and the next.
STRIDE = 25


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run saw: whom it killed, how the service ended, and what came of the events."""

    killed: Counter[str]
    starts: int
    exits: Counter[int]
    repeated: int
    count: Count
    verdict: Verdict


def make_token(directory: DataDirectory) -> str:
    """A token that may record anything."""
    database = open_database(directory.access_database)
    try:
        text, _ = TokenStore(database).create(Role.SUBMITTER, all=True)
    finally:
        database.close()
    return text


def strike(service: Service, target: str) -> bool:
    """Kill a part, or all parts at once; whether anything was there to be killed."""
    if target == "all":
        hit = [service.signal(part) for part in ("projector", "writer", "api")]
        return any(hit)
    return service.signal(target)


async def kill_under_load(directory: DataDirectory, kills: int, seed: int) -> Outcome:
    """Kill the service of a directory that many times; returns what came of it."""
    random = Random(seed)
    killed: Counter[str] = Counter()
    token = make_token(directory)
    async with (
        supervised(directory.path) as service,
        loading([service], token, clients=CLIENTS, seed=seed) as load,
    ):
        while killed.total() < kills:
            await load.reach(random.randint(1, STRIDE))
            target = random.choice(TARGETS)
            killed[target] += strike(service, target)
        await load.reach(STRIDE)
    return Outcome(
        killed,
        service.starts,
        service.exits,
        load.repeated,
        count(directory, load.acknowledged),
        check(directory).verdict,
    )


def show(outcome: Outcome, seconds: float) -> None:
    """Print the figures."""
    whom = ", ".join(f"{name} {times}" for name, times in sorted(outcome.killed.items()))
    rows = [
        ("kills", f"{outcome.killed.total()} ({whom})"),
        ("starts of the service", str(outcome.starts)),
        ("acknowledged", str(outcome.count.acknowledged)),
        ("sent more than once", str(outcome.repeated)),
        ("lost", str(outcome.count.lost)),
        ("doubled", str(outcome.count.doubled)),
        ("fsck", outcome.verdict.value),
        ("seconds", f"{seconds:.0f}"),
    ]
    for name, value in rows:
        print(f"{name:22} {value}")


def main(arguments: Sequence[str]) -> int:
    """`--kills N [--seed N] [--database URL --key-database URL]`"""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", help="postgresql:// URL of an empty database")
    parser.add_argument("--key-database", help="postgresql:// URL of another")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="hub-ledger-kill-") as folder:
        directory = initialise(
            Path(folder) / "data",
            database=options.database,
            key_database=options.key_database,
            publish_seconds=0.1,
        )
        start = time.monotonic()
        outcome = asyncio.run(kill_under_load(directory, options.kills, options.seed))
        show(outcome, time.monotonic() - start)
    fine = outcome.count.whole and outcome.verdict is Verdict.VERIFIED
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
