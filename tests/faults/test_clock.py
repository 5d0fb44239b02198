"""A clock that goes back, or leaps: stamps never decrease, and nothing is pinned to a wrong one."""

import time
from dataclasses import dataclass

import pytest

from ledger.errors import IntegrityAlarm, WriterLost
from ledger.log.clock import Clock
from tests.faults.conftest import World
from tests.faults.life import living
from tests.ledger.acts import identified

HOUR = 3600.0


@dataclass
class Wall:
    """A wall clock that can be set, beside a monotonic one that cannot."""

    offset: float = 0.0

    def clock(self) -> Clock:
        return Clock(lambda: time.time() + self.offset, time.monotonic)


async def test_a_clock_that_goes_back_under_way(world: World) -> None:
    events = [identified() for _ in range(3)]
    wall = Wall()
    with living(world.directory, wall.clock()) as life:
        stamps = []
        for event, offset in zip(events, (0.0, -HOUR, -HOUR / 2), strict=True):
            wall.offset = offset
            recorded = await life.record(event)
            world.acknowledge([event], recorded)
            stamps.append(recorded[0].recorded_at)
            life.publisher.tick(time.monotonic() + offset + 2 * HOUR)
    assert stamps == [stamps[0]] * 3
    world.assert_whole()


async def test_a_clock_that_goes_back_between_lives(world: World) -> None:
    event, later = identified(), identified()
    with living(world.directory) as life:
        recorded = await life.record(event)
        world.acknowledge([event], recorded)
    with living(world.directory, Wall(-30.0).clock()) as life:
        again = await life.record(later)
        world.acknowledge([later], again)
        assert again[0].recorded_at >= recorded[0].recorded_at
        life.publisher.tick(0.0)
    world.assert_whole()


async def test_a_clock_that_leaps_stops_the_writer_and_stamps_nothing(world: World) -> None:
    event = identified()
    wall = Wall()
    with living(world.directory, wall.clock()) as life:
        size = life.size()
        wall.offset = 2 * HOUR
        with pytest.raises(WriterLost) as caught:
            await life.record(event)
        assert isinstance(caught.value.__cause__, IntegrityAlarm)
        assert life.size() == size
    with living(world.directory) as life:
        world.acknowledge([event], await life.record(event))
    world.assert_whole()


def test_a_database_that_is_an_hour_behind_is_not_written_to(world: World) -> None:
    if world.directory.embedded:
        # The embedded store has no clock of its own: a wrong clock is taken at its word.
        with living(world.directory, Wall(HOUR).clock()) as life:
            assert life.store.now() is None
        return
    with (
        pytest.raises(IntegrityAlarm, match="database"),
        living(world.directory, Wall(HOUR).clock()),
    ):
        pass
