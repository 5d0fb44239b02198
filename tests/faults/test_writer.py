"""The writer process and those it serves: one of them gone, and what a predecessor left."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import WriterLost
from ledger.intake import draft, needed_keys, prepare
from ledger.log.clock import Clock
from ledger.log.guard import Guard
from ledger.log.messages import Frames, event_to_json, frame
from ledger.log.publisher import Publisher
from ledger.log.sequencer import Sequencer
from ledger.log.writer import Writer
from ledger.store import open_store
from tests.faults.life import living
from tests.ledger.acts import act, credential, identified

ANY = credential()


def ask(origin: str, number: int) -> bytes:
    """A submission as it crosses to the writer."""
    item = draft(ANY, identified())
    keys = {wanted: (str(uuid4()), os.urandom(32)) for wanted in needed_keys(item)}
    event = prepare(origin, item, keys, None)
    return frame({"n": number, "events": [event_to_json(event)]})


@pytest.fixture
def workers() -> Iterator[tuple[socket.socket, socket.socket, list[int]]]:
    """Two workers' ends of their sockets, and the writer's ends."""
    pairs = [socket.socketpair() for _ in range(2)]
    yield pairs[0][0], pairs[1][0], [theirs.detach() for _, theirs in pairs]
    for ours, _ in pairs:
        ours.close()


def test_a_worker_that_dies_takes_nobody_with_it(
    directory: DataDirectory, workers: tuple[socket.socket, socket.socket, list[int]]
) -> None:
    dying, staying, descriptors = workers
    signing, clock = directory.signing_keys(), Clock()
    with (
        closing(open_store(directory.database)) as store,
        closing(Guard(directory.guard_path)) as g,
    ):
        sequencer = Sequencer(store, signing.ed25519, directory.origin, clock, g)
        size = sequencer.check_start().size
        publisher = Publisher(store, signing, clock, directory.publish_seconds, g)
        writer = Writer(sequencer, publisher, store, descriptors)
        writer.announce(size)
        serve_the_one_that_stays(directory.origin, writer, dying, staying)


def serve_the_one_that_stays(
    origin: str, writer: Writer, dying: socket.socket, staying: socket.socket
) -> None:
    # It dies with the writer's words unread, and with a question of its own on the way.
    dying.sendall(ask(origin, 1))
    dying.close()
    running = threading.Thread(target=writer.run)
    running.start()
    staying.sendall(ask(origin, 2))
    staying.settimeout(30)
    frames = Frames()
    said: list[dict[str, Any]] = []
    while len(said) < 2:
        said += frames.feed(staying.recv(1 << 16))
    assert "ready" in said[0]
    assert said[1]["n"] == 2
    assert len(said[1]["events"]) == 1
    staying.close()
    running.join(30)
    assert not running.is_alive()


async def test_a_start_leaves_nothing_to_the_write_ahead_log(
    sqlite_directory: DataDirectory,
) -> None:
    # What a failed fsync left in the log's cached pages is read back by the next life, and would be
    # acknowledged by a retry without ever having been made durable.
    person = identified()
    log = Path(f"{sqlite_directory.database}-wal")
    with living(sqlite_directory) as life, closing(life.store):
        await life.record(person)
        life.fault.arm("commit", "after")
        with pytest.raises(WriterLost):
            await life.record(act("erasure.executed", person.stream))
        left = salt_of(log)
        async with Ledger.open(sqlite_directory.path):
            assert salt_of(log) != left


def salt_of(log: Path) -> bytes:
    """The salt of a write-ahead log, which is another whenever it is begun anew: bytes 16 to 24."""
    with log.open("rb") as file:
        return file.read(24)[16:]
