"""An erasure that fails before, or after, each of its steps: once it is in the log it is carried
out, by a retry or by the next life, and leaves nothing of what it erased in any file."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from eventsourcing.persistence import OperationalError

from ledger.database import open_database
from ledger.errors import ErasurePending, WriterLost
from ledger.submission import Submission
from ledger_verifier.formats.entry import decode
from tests.faults.conftest import World
from tests.faults.injection import When
from tests.faults.life import Life, living
from tests.ledger.acts import act, identified

BEFORE_COMMIT = ("select sealed", "insert destroyed_keys", "delete sealed", "insert head")
KEY_STEPS = (
    "keys select vault_state",
    "keys delete stream_keys",
    "commit of keys delete stream_keys",
    "keys update vault_state",
    "commit of keys update vault_state",
)


def secrets_of(world: World, life: Life, person: Submission) -> list[bytes]:
    """The wrapped subject key of a stream, and the beginning of what it seals, as they are stored:
    a page boundary may split something long."""
    head = life.store.stream_head(person.stream.text)
    assert head is not None
    with closing(open_database(world.directory.key_database)) as keys, keys.transaction() as rows:
        rows.execute("SELECT wrapped FROM stream_keys WHERE key_id = ?", (head.subject_key,))
        row = rows.fetchone()
    assert row is not None
    position = life.store.stream(person.stream.text)[0].position
    ciphertexts = [s.ciphertext for s in life.store.sealed([position]) if s.key_class == "subject"]
    return [bytes(row[0]), ciphertexts[0][:48]]


def files(path: Path) -> Iterator[bytes]:
    return (file.read_bytes() for file in sorted(path.rglob("*.sqlite*")))


async def assert_erased(world: World, life: Life, person: Submission, secrets: list[bytes]) -> None:
    (found,) = await life.record(person)
    raw = life.store.entry(found.position)
    assert raw is not None
    opened = life.opener.open(found.position, decode(raw))
    assert opened.erased == {"subject"}
    assert life.keys.applied_through() == life.store.destroyed_keys(0)[-1].position + 1
    if world.directory.embedded:
        for content in files(world.directory.path):
            assert not any(secret in content for secret in secrets)
    world.acknowledge([person], [found])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [*BEFORE_COMMIT, "commit", "guard", "scrub"])
async def test_a_fault_while_an_erasure_is_recorded(world: World, step: str, when: When) -> None:
    person = identified()
    erasure = act("erasure.executed", person.stream)
    with living(world.directory) as life:
        world.acknowledge([person], await life.record(person))
        secrets = secrets_of(world, life, person)
        life.fault.arm(step, when)
        with pytest.raises(WriterLost):
            await life.record(erasure)
        assert life.fault.fired
    persisted = (step, when) == ("commit", "after") or step in ("guard", "scrub")
    with living(world.directory) as life:
        if persisted:
            # Not even a retry is needed.
            await assert_erased(world, life, person, secrets)
        recorded = await life.record(erasure)
        assert recorded[0].created is not persisted
        await assert_erased(world, life, person, secrets)
        world.acknowledge([erasure], recorded)
    world.assert_whole()


@pytest.mark.parametrize("retried", [True, False], ids=["retried", "reopened"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [*KEY_STEPS, "keys truncate"])
async def test_a_fault_while_keys_are_destroyed(
    world: World, step: str, when: When, retried: bool
) -> None:
    if step == "keys truncate" and not world.directory.embedded:
        return  # PostgreSQL has no such step.
    person = identified()
    erasure = act("erasure.executed", person.stream)
    with living(world.directory) as life:
        world.acknowledge([person], await life.record(person))
        secrets = secrets_of(world, life, person)
        life.fault.arm(step, when)
        with pytest.raises(ErasurePending):
            await life.record(erasure)
        assert life.fault.fired
        if retried:
            recorded = await life.record(erasure)
            assert not recorded[0].created
            await assert_erased(world, life, person, secrets)
            world.acknowledge([erasure], recorded)
    with living(world.directory) as life:
        await assert_erased(world, life, person, secrets)
        recorded = await life.record(erasure)
        assert not recorded[0].created
        world.acknowledge([erasure], recorded)
    world.assert_whole()


def gone(*_: object) -> None:
    """What the event store's library raises when its database does not answer."""
    raise OperationalError("the server closed the connection")


async def test_the_store_failing_after_an_erasure_is_pending_not_an_accident(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The event store itself may go away between its COMMIT and the destruction of the keys.
    person = identified()
    erasure = act("erasure.executed", person.stream)
    with living(world.directory) as life:
        world.acknowledge([person], await life.record(person))
        with monkeypatch.context() as broken:
            broken.setattr("ledger.opening.proven", gone)
            with pytest.raises(ErasurePending):
                await life.record(erasure)
    with living(world.directory) as life:
        recorded = await life.record(erasure)
        world.acknowledge([erasure], recorded)
    world.assert_whole()
