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
from ledger_verifier.formats.certificate import CERTIFICATE, Certificate
from ledger_verifier.formats.entry import decode
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.formats.note import Note
from ledger_verifier.formats.tiles import encode_entries
from ledger_verifier.meaning.case import fold
from ledger_verifier.meaning.certified import controller_facts, subject_facts
from tests.api.events import example
from tests.verifier.audit.world import _SIGNER, ORIGIN, World, policy

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


@lru_cache(maxsize=1)
def certificates() -> list[bytes]:
    """Erasure certificates of that case, in both forms, signed by the log's real key."""
    stream = next(name for name in world().heads if name.startswith("case/"))
    case = BundleReader(BytesIO(case_bundle()))
    members = {name: case.read(name) for name in case.names if not name.startswith("disclosures/")}
    state = None
    leaves = []
    for position, raw in enumerate(world().entries):
        entry = decode(raw)
        if f"{entry['stream']['kind']}/{entry['stream']['id']}" == stream:
            state = fold(state, entry)
            leaves.append((position, leaf_hash(raw).hex()))
    assert state is not None
    at, exports = "2026-01-01T00:00:00.000Z", {"taken": 2, "destroyed": 0}
    event = "019c22ad-a010-7d8a-956e-ae47d20b52d1"
    pack = {"audience": "auditor", "destroy_by": at[:10], "event": event}
    bundle = {"audience": None, "destroy_by": None, "event": event.replace("d1", "d2")}
    copies = [{**copy, "overdue": False, "taken_on": at[:10]} for copy in (pack, bundle)]
    listed = {**exports, "outstanding": copies}
    whole = Certificate(
        ORIGIN, "controller", at, "n", SIZE, tuple(leaves), controller_facts(state), listed
    )
    erasure = {
        "versions": None,
        "erased_at": at,
        "verified_at": at,
        "no_backups_from": None,
        "gone_from_backups": False,
    }
    told = subject_facts({**controller_facts(state), "erasures": [erasure]}, exports)
    person = Certificate(ORIGIN, "subject", at, "n", SIZE, tuple(leaves[:1]), told, exports)
    position = leaves[0][0]
    proof = f"proofs/{position:012d}"
    enclosed = {CHECKPOINT: members[CHECKPOINT], proof: members[proof]}
    return [
        archive({**members, CERTIFICATE: certified(whole.text)}),
        archive({**enclosed, CERTIFICATE: certified(person.text)}),
    ]


def certified(text: str) -> bytes:
    """A note over a certificate's text, signed by the log's real key."""
    return Note(text, (_SIGNER.sign(text),)).encode()


def entry_tile() -> bytes:
    """An entry bundle of three entries."""
    return encode_entries(world().entries[:3])


def events() -> list[bytes]:
    """Bodies of requests: single events and a batch."""
    some = [example("case.closed"), example("subject.identified"), example("data.disclosed")]
    return [*map(orjson.dumps, some), orjson.dumps(some)]


def staff_bodies() -> list[bytes]:
    """What is sent to register a staff reference, and to ask whose it is."""
    return [
        b'{"name":"Example Person","staff_number":"1","position":"Caseworker"}',
        b'{"body":"ico","power":"data-protection-act-2018"}',
    ]
