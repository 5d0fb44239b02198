"""The projector process beside a ledger that is open.

Guarantees: there is one for as long as the ledger is open; when it ends before that, whatever ended
it, another takes up where it was.
"""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

#: Least seconds between one start of the projector and the next.
_PROJECTOR_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 10.0


@contextlib.asynccontextmanager
async def projecting(data: Path) -> AsyncIterator[None]:
    """A projector of the ledger in this data directory, for as long as this is entered."""
    keeper = asyncio.create_task(_keep_projecting(data))
    try:
        yield
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def _keep_projecting(data: Path) -> None:
    while True:
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ledger.projections.runner",
            str(data),
            stdin=asyncio.subprocess.PIPE,
        )
        try:
            await process.wait()
        except asyncio.CancelledError:
            await asyncio.shield(_end(process))
            raise
        # One that cannot start (its database is down, say) is not started all the time.
        await asyncio.sleep(max(0.0, started + _PROJECTOR_SECONDS - time.monotonic()))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let a projector see that it is no longer wanted, and see to it that it has gone."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
