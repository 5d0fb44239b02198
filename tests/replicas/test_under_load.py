"""Two services on one PostgreSQL under load: one is paused, resumed and killed, and the log has no
fork, no gap, no loss and no double; whoever is left goes on, and one at a time publishes."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby

import psycopg

from ledger.config import DataDirectory
from ledger.store import Store, open_store
from tests.faults.account import assert_whole
from tests.faults.kill import make_token, strike
from tests.faults.load import Load, loading
from tests.faults.service import PARTS, Service, supervised

#: Seconds within which every issued checkpoint must be covered by a published one.
COVERED_WITHIN = 60.0

#: Notes of every publication which session made it, and whether that held the publisher's lock.
WITNESS = """
CREATE TABLE published_by (seq BIGINT, session INTEGER, locked BOOLEAN);
CREATE FUNCTION note_publisher() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO published_by SELECT NEW.seq, pg_backend_pid(), EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid());
  RETURN NEW;
END $$;
CREATE TRIGGER note_publisher AFTER INSERT ON publications
  FOR EACH ROW EXECUTE FUNCTION note_publisher();
"""


async def test_two_replicas(first: DataDirectory, second: DataDirectory) -> None:
    with (
        closing(open_store(first.database)) as store,
        psycopg.connect(first.database, autocommit=True) as onlooker,
    ):
        onlooker.execute(WITNESS)
        async with (
            # The one that is there first is the publisher, until something happens to it.
            supervised(first.path) as one,
            supervised(second.path) as other,
            loading([one, other], make_token(first), clients=3, seed=5, patience=2.0) as load,
        ):
            await load.reach(60)
            assert set(load.by) == {0, 1}
            await covered(store, load)
            with paused(one):
                await load.reach(20)
                # The lock goes to the other one only when the server gives up on its holder.
                await covered(store, load)
            await load.reach(20)
            # Failover: the publisher is gone altogether, then the other one's writer.
            await struck(other, "all", store, load)
            await struck(one, "writer", store, load)
            before = load.by.copy()
            await load.reach(60)
            assert all(load.by[service] > before[service] for service in (0, 1))
        onlooker.execute("DROP TRIGGER note_publisher ON publications")
        by = onlooker.execute("SELECT session, locked FROM published_by ORDER BY seq").fetchall()
        assert all(locked for _, locked in by)
        sessions = [session for session, _ in groupby(session for session, _ in by)]
        # Whoever had to hand over never publishes again in that session.
        assert len(sessions) == len(set(sessions)) >= 3
    assert_whole(first, load.acknowledged)
    assert_whole(second, load.acknowledged)


@contextmanager
def paused(service: Service) -> Iterator[None]:
    """A replica stopped in the middle of whatever it was doing, until it is resumed."""
    for part in PARTS:
        assert service.signal(part, signal.SIGSTOP)
    try:
        yield
    finally:
        for part in PARTS:
            service.signal(part, signal.SIGCONT)


async def struck(service: Service, target: str, store: Store, load: Load) -> None:
    """Kill a replica: the other one must go on, and publish, and the one killed comes back."""
    starts = service.starts
    assert strike(service, target)
    await load.reach(30)
    await covered(store, load)
    await service.up(after=starts)


async def covered(store: Store, load: Load) -> None:
    """Wait until what was acknowledged by now has been published, as it must be."""
    size = max(item.position for item in load.acknowledged) + 1

    async def published() -> None:
        newest = await asyncio.to_thread(store.newest_publication)
        while newest is None or newest[0] < size:
            await load.reach(1)
            newest = await asyncio.to_thread(store.newest_publication)

    await asyncio.wait_for(published(), COVERED_WITHIN)
