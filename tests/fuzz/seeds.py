"""Good inputs to start from: one small log with everything in it, made with real keys."""

import tempfile
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final

import orjson

from ledger_verifier.audit.engine import verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.state import State
from ledger_verifier.formats.bundle import CHECKPOINT, BundleReader, write_bundle
from ledger_verifier.formats.note import Note
from ledger_verifier.formats.tiles import encode_entries
from tests.api.events import example
from tests.verifier.audit.world import World, policy

SIZE: Final = 40
POSITION: Final = 7


@lru_cache(maxsize=1)
def world() -> World:
    """The log. Not to be altered."""
    return World().fill(SIZE, streams=4)


@lru_cache(maxsize=1)
def members() -> dict[str, bytes]:
    """The members of its log bundle."""
    return world().members()


def signed_text() -> bytes:
    """What the signatures of its checkpoint are over, and the line that parts it from them."""
    return Note.parse(members()[CHECKPOINT]).text.encode() + b"\n"


def archive(content: dict[str, bytes]) -> bytes:
    """A bundle of these members."""
    file = BytesIO()
    write_bundle(file, content.items())
    return file.getvalue()


@lru_cache(maxsize=1)
def log_bundle() -> bytes:
    """The whole log."""
    return archive(members())


@lru_cache(maxsize=1)
def case_bundle() -> bytes:
    """One case of it, with every disclosure."""
    stream = next(name for name in world().heads if name.startswith("case/"))
    with tempfile.TemporaryDirectory() as folder:
        return world().case(stream).write(Path(folder) / "case.bundle").read_bytes()


@lru_cache(maxsize=1)
def receipt() -> bytes:
    """A receipt of the entry at POSITION."""
    return world().receipt(POSITION)


@lru_cache(maxsize=1)
def state_file() -> bytes:
    """What a run of the verifier keeps for the next one."""
    state = State()
    verify_log(BundleLogReader(BundleReader(BytesIO(log_bundle()))), policy(), state=state)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        state.save(path)
        return path.read_bytes()


def entry_tile() -> bytes:
    """An entry bundle of three entries."""
    return encode_entries(world().entries[:3])


def events() -> list[bytes]:
    """Bodies of requests: single events and a batch."""
    some = [example("case.closed"), example("subject.identified"), example("data.disclosed")]
    return [*map(orjson.dumps, some), orjson.dumps(some)]
