"""An append that fails before, or after, each of its steps: nothing acknowledged is lost, nothing
is recorded twice, and the next life needs no hand."""

from uuid import uuid4

import pytest

from ledger.errors import VaultUnavailable, WriterLost
from ledger.log.guard import Guard
from ledger.submission import Submission
from ledger_verifier.formats.entry import StreamRef
from tests.faults.conftest import World
from tests.faults.injection import When
from tests.faults.life import living
from tests.ledger.acts import act, identified

STEPS = (
    "begin",
    "select head",
    "select stream_heads",
    "select duplicates",
    "select destroyed_keys",
    "insert entries",
    "insert cells",
    "insert duplicates",
    "insert sealed",
    "insert stream_heads",
    "insert head",
    "commit",
    "guard",
)
MATRIX: list[tuple[str, When]] = [(step, when) for step in STEPS for when in ("before", "after")]
#: From here on the entries are in the log, whatever the caller was told.
PERSISTED = {("commit", "after"), ("guard", "before"), ("guard", "after"), ("reply", "before")}


def some_events() -> list[Submission]:
    stream = StreamRef("case", str(uuid4()))
    return [identified(stream), act("data.disclosed", stream), identified()]


@pytest.mark.parametrize(("step", "when"), [*MATRIX, ("reply", "before")])
async def test_a_fault_in_an_append(world: World, step: str, when: When) -> None:
    before, lost = some_events(), some_events()
    persisted = (step, when) in PERSISTED
    with living(world.directory) as life:
        world.acknowledge(before, await life.record(*before))
        size = life.size()
        life.fault.arm(step, when)
        with pytest.raises(WriterLost):
            await life.record(*lost)
        assert life.fault.fired
        # Before the service has ended a retry learns no more: the guard may be behind.
        with pytest.raises(WriterLost):
            await life.record(*lost)
    with living(world.directory) as life:
        assert life.size() == size + len(lost) * persisted
        again = await life.record(*lost)
        assert {result.created for result in again} == {not persisted}
        assert life.size() == size + len(lost)
        once_more = await life.record(*lost)
        assert [found.leaf_hash for found in once_more] == [first.leaf_hash for first in again]
        assert [found.position for found in once_more] == [first.position for first in again]
        world.acknowledge(lost, again)
        world.acknowledge(lost, once_more)
    world.assert_whole()


KEY_STEPS = ("keys select stream_keys", "keys insert stream_keys")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [*KEY_STEPS, "commit of keys select stream_keys"])
async def test_a_fault_while_keys_are_made(world: World, step: str, when: When) -> None:
    events = some_events()
    with living(world.directory) as life:
        size = life.size()
        life.fault.arm(step, when)
        with pytest.raises(VaultUnavailable):
            await life.record(*events)
        assert life.fault.fired
        assert life.size() == size
        # The writer lives on: the same service answers when the key store does.
        recorded = await life.record(*events)
        assert all(result.created for result in recorded)
        world.acknowledge(events, recorded)
    world.assert_whole()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["begin", "insert publications", "commit"])
async def test_a_fault_in_a_publication(world: World, step: str, when: When) -> None:
    events = some_events()
    with living(world.directory) as life:
        world.acknowledge(events, await life.record(*events))
        life.fault.arm(step, when)
        with pytest.raises(OSError, match="injected"):
            life.publisher.tick(0.0)
        assert life.fault.fired
    with living(world.directory) as life:
        assert life.publisher.tick(0.0) is ((step, when) != ("commit", "after"))
        sizes = [size for _, size, _ in life.store.publications()]
        assert sizes == sorted(set(sizes))
        assert sizes[-1] == life.size()
    world.assert_whole()


async def test_a_new_life_vouches_for_its_head_before_it_shows_it(world: World) -> None:
    # The guard may be behind the log by what was committed as it died. A retry is answered from
    # the stored head, which must not be shown while an older copy of the log would still pass.
    events = some_events()
    with living(world.directory) as life:
        life.fault.arm("guard", "before")
        with pytest.raises(WriterLost):
            await life.record(*events)
    with living(world.directory) as life:
        size = life.size()
        guard = Guard(world.directory.guard_path)
        assert int(guard.checkpoint.split(b"\n")[1]) == size
        guard.close()
