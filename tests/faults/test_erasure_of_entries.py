"""An erasure of one entry that fails at each of its steps: before the COMMIT nothing is erased,
after it that entry is, and never opens again; what is kept opens all the while."""

from dataclasses import replace

import pytest

from ledger.errors import ErasurePending, VaultUnavailable, WriterLost
from ledger.submission import Submission
from ledger_verifier.formats.entry import decode
from tests.faults.conftest import World
from tests.faults.injection import When
from tests.faults.life import Life, living
from tests.ledger.acts import act, identified

BEFORE_COMMIT = [("insert destroyed_keys", "after"), ("delete sealed", "after")]
AFTER_COMMIT = [("commit", "after"), ("guard", "before"), ("scrub", "before")]
KEY_STEPS = [
    ("keys select vault_state", "before"),
    ("keys delete stream_keys", "after"),
    ("keys update stream_keys", "after"),
    ("commit of keys update stream_keys", "before"),
    ("commit of keys update stream_keys", "after"),
    ("keys update vault_state", "before"),
]


def erasure_of(event: Submission) -> Submission:
    whole = act("erasure.executed", event.stream)
    return replace(whole, data={**whole.data, "scope": "entries", "erased_events": [event.id]})


def opens(life: Life, event: Submission) -> bool:
    """Whether what an event says about the person opens now."""
    position = life.store.duplicates([(event.source, event.id)])[(event.source, event.id)]
    raw = life.store.entry(position)
    assert raw is not None
    return "subject" not in life.opener.open(position, decode(raw)).erased


async def after_all(world: World, life: Life, erasure: Submission, *events: Submission) -> None:
    """A retry ends it, whatever had happened."""
    recorded = await life.record(erasure)
    assert [opens(life, event) for event in events] == [False, True]
    later = act("case.reviewed", erasure.stream)
    world.acknowledge([erasure, later], [*recorded, *await life.record(later)])
    assert opens(life, later)


@pytest.mark.parametrize(("step", "when"), [*BEFORE_COMMIT, *AFTER_COMMIT])
async def test_a_fault_while_it_is_recorded(world: World, step: str, when: When) -> None:
    person = identified()
    kept, erasure = act("case.closed", person.stream), erasure_of(person)
    with living(world.directory) as life:
        world.acknowledge([person, kept], await life.record(person, kept))
        life.fault.arm(step, when)
        with pytest.raises(WriterLost):
            await life.record(erasure)
        assert life.fault.fired
    with living(world.directory) as life:
        persisted = (step, when) in AFTER_COMMIT
        assert [opens(life, event) for event in (person, kept)] == [not persisted, True]
        await after_all(world, life, erasure, person, kept)
    world.assert_whole()


@pytest.mark.parametrize(("step", "when"), KEY_STEPS)
async def test_a_fault_while_its_key_is_replaced(world: World, step: str, when: When) -> None:
    person = identified()
    kept, erasure = act("case.closed", person.stream), erasure_of(person)
    with living(world.directory) as life:
        world.acknowledge([person, kept], await life.record(person, kept))
        life.fault.arm(step, when)
        with pytest.raises(ErasurePending):
            await life.record(erasure)
        assert life.fault.fired
        life.fault.arm("keys delete stream_keys", "before")
        try:
            assert not opens(life, person)
        except VaultUnavailable:
            # Its key is still there, and cannot be destroyed now: that is no reason to use it.
            assert life.fault.fired
    with living(world.directory) as life:
        assert [opens(life, event) for event in (person, kept)] == [False, True]
        await after_all(world, life, erasure, person, kept)
    world.assert_whole()
