"""A service in a process of its own, which SIGKILL ends at a named step: the API process and the
writer at one moment, as when the machine goes.

Steps are hooked into the classes of the real service here, in the process that runs it, and nowhere
in shipped code. A file beside the data directory names the one that is armed; whoever comes to it
takes the file away and kills the whole process group. The service is forked from a server that has
imported everything, and its writer from that before any thread is there: a start costs little.
"""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import ledger.application
import ledger.log.client
import ledger.log.writer
import ledger.vault.keystore
from api.cli import main
from ledger.database import Cursor, SqliteDatabase
from ledger.erasing import Erasing
from ledger.expiring import Expirer
from ledger.log.guard import Guard
from ledger.log.writer import Writer
from ledger.postgresql import PostgresDatabase
from ledger.scanning import Scan
from ledger.store.base import AppendTransaction
from ledger.store.records import Append
from ledger.vault.keyring import KeyRing
from ledger.vault.keystore import KeyStore
from ledger.verifying import Verifying

#: By when everything is due that the policy in force lets go.
LATER: Final = datetime.now(UTC) + timedelta(days=4000)

#: What has happened in this process: an append that removes something, or the deletion of a key.
_seen = SimpleNamespace(removing=False, deleted=False)


def serve(data: str, port: int, armed: str, log: str, said: Connection) -> None:
    """Run `hub-ledger serve`, to be killed at the step that is armed. What it says goes to `said`,
    and to the log."""
    os.setsid()
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said.fileno(), 1)
    os.dup2(sink, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    _hook(lambda step: _strike(Path(armed), step))
    ours, theirs = socket.socketpair()
    writer = multiprocessing.get_context("fork").Process(target=_write, args=(theirs, ours))
    writer.start()
    theirs.close()
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    started = SimpleNamespace(
        Popen=lambda command, pass_fds, **_: _Started(writer, ours, command, pass_fds),
        DEVNULL=subprocess.DEVNULL,
        TimeoutExpired=subprocess.TimeoutExpired,
    )
    _put(ledger.log.client, "subprocess", started)
    # Read models are made from the log, and nothing here asks them.
    _put(ledger.application, "projecting", _no_projector)
    sys.argv = ["hub-ledger", "serve", "--data", data, "--port", str(port)]
    main()


def _end_with_the_tests() -> None:
    """Whoever started this may be killed, too."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.killpg(0, signal.SIGKILL)


@asynccontextmanager
async def _no_projector(_: Path) -> AsyncIterator[None]:
    yield


def _write(control: socket.socket, other: socket.socket) -> None:
    """Be the writer, once its command has come with its descriptors."""
    other.close()
    command, descriptors, _, _ = socket.recv_fds(control, 4096, 4)
    if command:
        data, accept_clock, *_ = command.decode().split("\0")
        sys.exit(ledger.log.writer.main([data, accept_clock, *map(str, descriptors)]))


class _Started:
    """What the service knows of its writer, as of a `subprocess.Popen`."""

    def __init__(
        self, process: Any, control: socket.socket, command: list[str], pass_fds: list[int]
    ) -> None:
        self._process, self.pid = process, process.pid
        # After the interpreter and the module's name, and before the descriptors.
        wanted = "\0".join(command[3 : -len(pass_fds)])
        socket.send_fds(control, [wanted.encode()], pass_fds)
        control.close()

    def wait(self, timeout: float | None = None) -> None:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("writer", timeout or 0.0)

    def kill(self) -> None:
        self._process.kill()


def _strike(armed: Path, step: str) -> None:
    """End everything, if this is where."""
    with suppress(OSError):
        if armed.read_text() == step:
            armed.unlink()
            os.killpg(0, signal.SIGKILL)


Strike = Callable[[str], None]


def _hook(strike: Strike) -> None:
    _hook_what_is_prepared(strike)
    _hook_the_append(strike)
    _hook_the_keys(strike)
    _around(Scan, "_search", after=lambda: strike("during the scan"))
    _around(Verifying, "_verification", after=lambda: strike("before erasure.verified"))


def _hook_what_is_prepared(strike: Strike) -> None:
    _put(Expirer, "now", lambda _: LATER)
    _around(Expirer, "plan", after=lambda: strike("planned"))
    for owner, method, step in (
        (Erasing, "plan", "planned"),
        (KeyRing, "next_key", "next key made"),
        (Erasing, "complete", "sealed anew"),
    ):
        _around_async(owner, method, step, strike)


def _hook_the_append(strike: Strike) -> None:
    writes = AppendTransaction.write

    def write(transaction: AppendTransaction, append: Append) -> None:
        writes(transaction, append)
        _seen.removing = bool(append.destroyed or append.expiries)
        if _seen.removing:
            strike("before COMMIT")

    def then(step: str) -> Callable[[], None]:
        return lambda: strike(step) if _seen.removing else None

    _put(AppendTransaction, "write", write)
    _around(Guard, "write", before=then("after COMMIT"), after=then("after the guard"))
    _around(Writer, "_scrub", after=then("before the reply"))


def _hook_the_keys(strike: Strike) -> None:
    deletes = ledger.vault.keystore._destroy

    def delete(*arguments: Any, **named: Any) -> None:
        deletes(*arguments, **named)
        _seen.deleted = True

    _put(ledger.vault.keystore, "_destroy", delete)
    _around(
        KeyStore,
        "destroy",
        before=lambda: strike("before the keys"),
        after=lambda: strike("after the keys"),
    )
    _around(SqliteDatabase, "truncate_log", before=lambda: strike("keys deleted"))
    for database in (SqliteDatabase, PostgresDatabase):
        _put(database, "transaction", _noticing(database.transaction, strike))


def _noticing(begin: Callable[[Any], Any], strike: Strike) -> Callable[[Any], Any]:
    """The transaction that follows the deletion of keys is the one that remembers it."""

    @contextmanager
    def transaction(database: Any) -> Iterator[Cursor]:
        if _seen.deleted:
            _seen.deleted = False
            strike("before applied_through")
        with begin(database) as rows:
            yield rows

    return transaction


def _put(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


def _around(
    owner: type,
    method: str,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> None:
    works = getattr(owner, method)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        before()
        result = works(*arguments, **named)
        after()
        return result

    _put(owner, method, wrapped)


def _around_async(owner: type, method: str, step: str, strike: Strike) -> None:
    works = getattr(owner, method)

    async def wrapped(*arguments: Any, **named: Any) -> Any:
        result = await works(*arguments, **named)
        strike(step)
        return result

    _put(owner, method, wrapped)
