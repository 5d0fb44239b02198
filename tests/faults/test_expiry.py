"""An expiry that fails before, or after, each of its steps: once it is in the log it is done,
by a retry or by the next life; until then nothing of it has gone."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from ledger.database import open_database
from ledger.errors import ErasurePending, Expired, WriterLost
from ledger.expiring import Expirer
from ledger.submission import Submission
from ledger_verifier.formats.entry import StreamRef
from tests.faults.conftest import World
from tests.faults.injection import When
from tests.faults.life import Life, living
from tests.ledger.acts import act, identified

LATER = datetime.now(UTC) + timedelta(days=4000)
FAULTS: tuple[tuple[str, When], ...] = (
    ("insert entries", "after"),
    ("delete entries", "after"),
    ("insert tombstones", "after"),
    ("insert expired", "before"),
    ("insert head", "before"),
    ("commit", "before"),
    ("commit", "after"),
    ("guard", "before"),
    ("scrub", "before"),
)
KEY_FAULTS: tuple[tuple[str, When], ...] = (
    ("keys delete stream_keys", "before"),
    ("commit of keys delete stream_keys", "after"),
    ("commit of keys update vault_state", "before"),
)


@pytest.fixture(autouse=True)
def later() -> Iterator[None]:
    """It is years later, for whoever asks what is due."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Expirer, "now", lambda _: LATER)
        yield


async def close(life: Life) -> list[Submission]:
    """Record a case and close it, under a policy."""
    case = StreamRef("case", str(uuid4()))
    events = [identified(case), act("data.disclosed", case), act("case.closed", case)]
    await life.record(act("policy.adopted"), *events)
    return events


def secrets(world: World, life: Life, events: list[Submission]) -> list[bytes]:
    """What may not be in any file afterwards: ids and wrapped keys, as they are stored."""
    name = events[0].stream.text
    with closing(open_database(world.directory.key_database)) as keys, keys.transaction() as rows:
        rows.execute("SELECT wrapped FROM stream_keys WHERE stream = ?", (name,))
        wrapped = [bytes(row[0]) for row in rows.fetchall()]
    assert len(wrapped) == 2
    return [name.encode(), *(bytes.fromhex(e.id.replace("-", "")) for e in events), *wrapped]


async def assert_expired(
    world: World, life: Life, events: list[Submission], doomed: list[bytes]
) -> None:
    assert life.store.stream(events[0].stream.text) == []
    for event in events:
        with pytest.raises(Expired):
            await life.record(event)
    assert life.keys.ids_of([events[0].stream.text]) == {}
    if world.directory.embedded:
        files = [path.read_bytes() for path in world.directory.path.rglob("*.sqlite*")]
        assert not [one for one in doomed for content in files if one in content]


@pytest.mark.parametrize(("step", "when"), FAULTS)
async def test_a_fault_while_an_expiry_is_recorded(world: World, step: str, when: When) -> None:
    order = act("expiry.ordered")
    with living(world.directory) as life:
        events = await close(life)
        doomed = secrets(world, life, events)
        life.fault.arm(step, when)
        with pytest.raises(WriterLost):
            await life.record(order)
        assert life.fault.fired
    persisted = (step, when) == ("commit", "after") or step in ("guard", "scrub")
    with living(world.directory) as life:
        if persisted:
            await assert_expired(world, life, events, doomed)
        else:
            assert len(life.store.stream(events[0].stream.text)) == len(events)
        (recorded,) = await life.record(order)
        assert recorded.created is not persisted
        await assert_expired(world, life, events, doomed)
        world.acknowledge([order], [recorded])
    world.assert_whole()


@pytest.mark.parametrize("retried", [True, False], ids=["retried", "reopened"])
@pytest.mark.parametrize(("step", "when"), KEY_FAULTS)
async def test_a_fault_while_keys_are_destroyed(
    world: World, step: str, when: When, retried: bool
) -> None:
    order = act("expiry.ordered")
    with living(world.directory) as life:
        events = await close(life)
        doomed = secrets(world, life, events)
        life.fault.arm(step, when)
        with pytest.raises(ErasurePending):
            await life.record(order)
        assert life.fault.fired
        if retried:
            (recorded,) = await life.record(order)
            assert not recorded.created
            await assert_expired(world, life, events, doomed)
    with living(world.directory) as life:
        await assert_expired(world, life, events, doomed)
    world.assert_whole()
