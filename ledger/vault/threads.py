"""Threads for what may block: asking the vault, and those who keep its wrapping keys.

Guarantees: however slow the vault is, the event loop goes on, and so do the threads that read the
log, since the vault has its own; a keeper that does not answer in time is given up, and one that
never answers costs a bounded number of threads, none of which holds up the end of the process.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from ledger.errors import VaultUnavailable

P = ParamSpec("P")
T = TypeVar("T")

#: Openings that may be waiting for the vault at one time; more wait for their turn.
VAULT_THREADS: Final = 8
#: Calls to keepers that may be unanswered at one time.
_MAX_CALLS: Final = 32

_opening = ThreadPoolExecutor(VAULT_THREADS, thread_name_prefix="vault")
#: Recording does not stand in line behind openings.
_making = ThreadPoolExecutor(2, thread_name_prefix="vault-keys")
_calls = threading.BoundedSemaphore(_MAX_CALLS)


async def in_vault_thread(function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Run what opens something of the vault in a thread of its own kind, off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(
        _opening, lambda: function(*args, **named)
    )


async def in_key_thread(function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Run what finds or makes keys to seal under, likewise."""
    return await asyncio.get_running_loop().run_in_executor(
        _making, lambda: function(*args, **named)
    )


def within(seconds: float, function: Callable[[], T]) -> T:
    """What the function returns, or raises; VaultUnavailable when it takes longer than that."""
    if not _calls.acquire(timeout=seconds):
        raise VaultUnavailable("Too many calls to the keeper of the wrapping key are unanswered.")
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)
        finally:
            _calls.release()
            done.set()

    # As a daemon: a keeper's library that hangs must not keep a process alive.
    threading.Thread(target=call, name="wrapping-key", daemon=True).start()
    if not done.wait(seconds):
        raise VaultUnavailable(
            f"The keeper of the wrapping key did not answer within {seconds:g} seconds."
        )
    if errors:
        raise errors[0]
    return results[0]
