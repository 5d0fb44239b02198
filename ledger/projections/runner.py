"""The projector process: follows the log and keeps the read models up to date.

Guarantees: it only reads the log; it can be killed at any point and resumes where it was; it ends
when its parent does (its standard input closes). It runs at low priority: a read model may lag,
an append may not wait for it.

Run by `ledger.application` as `python -m ledger.projections.runner DATA_DIRECTORY`.
"""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ledger.config import load
from ledger.database import open_database
from ledger.errorlog import install, log_error
from ledger.projections.cases import BATCH, CaseIndex, ProjectionRaceError
from ledger.store import open_store

#: Seconds between looks at the log, unless a whole batch was waiting. What comes in a trickle is
#: folded together: a commit costs as much as many entries.
POLL_SECONDS: Final = 0.2


def main(arguments: Sequence[str]) -> int:
    """Project until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)
    try:
        _follow(arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, the process ends and says so
        log_error("the projector failed", error)
        return 1
    return 0


def _follow(arguments: Sequence[str]) -> None:
    directory = load(Path(arguments[0]))
    store = open_store(directory.database)
    index = CaseIndex(open_database(directory.projections_database))
    index.create()
    busy = True
    while not select.select([sys.stdin], [], [], 0 if busy else POLL_SECONDS)[0]:
        busy = False
        with contextlib.suppress(ProjectionRaceError):
            busy = index.step(store) == BATCH
        index.scrub()


if __name__ == "__main__":
    install()
    sys.exit(main(sys.argv[1:]))
