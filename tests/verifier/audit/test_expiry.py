"""Logs of which streams have expired: what the verifier accepts as gone, and what it does not."""

import random
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.expiry import Expiries
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.readers.http import HttpLogReader
from ledger_verifier.audit.readers.recording import RecordingReader
from ledger_verifier.audit.receipt import verify_receipt
from ledger_verifier.audit.report.as_html import as_html
from ledger_verifier.audit.report.model import Findings, Report, Verdict
from ledger_verifier.audit.state import State
from ledger_verifier.audit.trust import earlier_checkpoint
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import decode
from ledger_verifier.formats.tiles import bundles_of, encode_entries
from ledger_verifier.meaning.expiry import keys_sha256, spans_from

from .conftest import Verify
from .test_tampering import altered
from .world import (
    TOKEN,
    Reply,
    World,
    change_cell,
    change_entry,
    policy,
    serving,
)

SIZE = 700


def stream_of(raw: bytes) -> str:
    stream = decode(raw)["stream"]
    return f"{stream['kind']}/{stream['id']}"


def streams(world: World) -> dict[str, list[int]]:
    """Positions of each stream that may expire."""
    found: dict[str, list[int]] = {}
    for position, raw in enumerate(world.entries):
        name = stream_of(raw)
        if not name.startswith("ledger/"):
            found.setdefault(name, []).append(position)
    return found


#: What an entry says beside its spans. Which keys went is for whoever has the ledger's tables.
SAID: Final = {"keys_sha256": keys_sha256([]), "order": 1}


def expire(world: World, positions: list[int], **changes: Any) -> int:
    """Append the entry that says so; returns its position. The bytes stay in `world`."""
    flat = [end for span in spans_from(positions) for end in span]
    place = world.ledger("stream.expired", {**SAID, "spans": flat, **changes})
    for name, of in streams(world).items():
        if set(of) <= set(positions):
            del world.heads[name]
    return place


def emptied(world: World, positions: list[int]) -> dict[str, bytes]:
    """The log's members, with no bytes at these positions."""
    members, gone = world.members(), set(positions)
    for tile in bundles_of(len(world.entries)):
        entries = [
            b"" if position in gone else world.entries[position]
            for position in range(tile.start, tile.end)
        ]
        members[tile.path] = encode_entries(entries)
    return members


def grown(seed: int = 7) -> tuple[World, list[int]]:
    """A log of which several streams, the first of them among them, have expired."""
    world = World(seed=seed).fill(SIZE)
    doomed = [p for n, of in enumerate(streams(world).values()) if n % 3 == 0 for p in of]
    expire(world, doomed)
    world.fill(SIZE + 40)
    return world, sorted(doomed)


@pytest.fixture(scope="module")
def expired() -> tuple[World, list[int]]:
    return grown()


def test_what_an_entry_explains_is_no_failure(
    verify: Verify, expired: tuple[World, list[int]]
) -> None:
    world, gone = expired
    report = verify(emptied(world, gone))
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["expired"] == len(gone)
    assert report.checked["absent"] == 0
    assert report.checked["entries"] == len(world.entries) - len(gone)
    assert report.unread == ()
    assert f"but for {len(gone)} whose bytes have expired" in report.shown[0]
    assert any(line.startswith(f"what {len(gone)} expired") for line in report.not_assessed)
    assert str(len(gone)).encode() in as_html(report)


@pytest.mark.parametrize("place", [0, -1])
def test_one_more_entry_is_gone(
    verify: Verify, expired: tuple[World, list[int]], place: int
) -> None:
    """The first that stays, and the last of all: each is named, and no break that follows."""
    world, gone = expired
    left = [p for of in streams(world).values() for p in of if p not in set(gone)]
    removed = sorted(left)[place]
    report = verify(emptied(world, [*gone, removed]))
    assert report.verdict is Verdict.FAILED
    assert [(f.position, f.reason) for f in report.failures] == [
        (removed, "absent without an entry that explains it")
    ]
    assert report.checked["absent"] == 1
    assert report.checked["expired"] == len(gone)
    assert report.unread == ((removed, removed),)


def test_what_is_said_to_be_gone_is_there(verify: Verify, expired: tuple[World, list[int]]) -> None:
    world, gone = expired
    report = verify(emptied(world, gone[:-2]))
    assert [f.position for f in report.failures] == gone[-2:]
    assert "bytes are there" in report.failures[0].reason


def test_other_bytes_where_an_entry_expired(
    verify: Verify, expired: tuple[World, list[int]]
) -> None:
    world, gone = expired
    members = emptied(world, gone)
    change_entry(members, len(world.entries), gone[3], altered(world.entries[gone[3]]))
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert {f.position for f in report.failures} == {gone[3]}
    assert any("not the entry that the signed root has" in f.reason for f in report.failures)


def test_the_hash_of_an_expired_entry_is_changed(
    verify: Verify, expired: tuple[World, list[int]]
) -> None:
    world, gone = expired
    members = emptied(world, gone)
    tile, cell = divmod(gone[0], 256)
    change_cell(members, f"tile/0/{tile:03d}", cell)
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert "was changed" in report.failures[0].reason


def claims(changes: dict[str, Any]) -> tuple[Report, int]:
    """A log whose only expiry says something else than it may; whose entries are all there."""
    world = World(seed=3).fill(300)
    position = expire(world, [250], **changes)
    world.fill(340)
    return in_memory(world.members()), position


def in_memory(members: dict[str, bytes], since: tuple[bytes, ...] = (), **options: Any) -> Report:
    known = [earlier_checkpoint(raw, policy(), "a receipt") for raw in since]
    with serving(members) as server:
        reader = HttpLogReader(server.url, TOKEN)
        try:
            chosen = Options(wait=0.0, **options)
            return verify_log(reader, policy(), earlier=known, options=chosen)
        finally:
            reader.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spans": [300, 300]}, "comes after this one"),
        ({"spans": [290, 310]}, "comes after this one"),
        ({"order": 300}, "not a position before"),
        ({"order": 0}, "data.order"),
        ({"spans": []}, "data.spans"),
        ({"spans": [5]}, "data.spans"),
        ({"spans": [0, 3]}, "data.spans"),
        ({"spans": [9, 7]}, "ends before"),
        ({"spans": [7, 8, 9, 10]}, "ascending"),
        ({"spans": [7, 9, 8, 12]}, "ascending"),
        ({"spans": [n for p in range(10, 4014, 4) for n in (p, p + 1)]}, "1 to 1000"),
        ({"spans": [True, True]}, "data.spans"),
        ({"streams": 1}, "exactly keys_sha256, order and spans"),
        ({"keys_sha256": None}, "data.keys_sha256"),
        ({"keys_sha256": "AB" * 32}, "data.keys_sha256"),
    ],
)
def test_what_no_entry_may_say(changes: dict[str, Any], words: str) -> None:
    report, position = claims(changes)
    assert report.verdict is Verdict.FAILED
    assert [f.position for f in report.failures] == [position]
    assert words in report.failures[0].reason


def test_an_expiry_in_another_stream() -> None:
    world = World(seed=4).fill(60)
    other = f"ledger/{world.uuid()}"
    (positions, *_) = streams(world).values()
    flat = [end for span in spans_from(positions) for end in span]
    at = world.append(world.draft("stream.expired", other, {**SAID, "spans": flat}))
    report = in_memory(emptied(world, positions))
    assert {f.position for f in report.failures} == {at, *positions}


def test_an_entry_expires_once() -> None:
    world = World(seed=5).fill(60)
    (positions, *_) = streams(world).values()
    expire(world, positions)
    again = expire(world, positions[:1])
    report = in_memory(emptied(world, positions))
    assert [f.position for f in report.failures] == [again]
    assert "expired already" in report.failures[0].reason


@pytest.mark.parametrize("kept", ["first", "middle", "last"])
def test_a_part_of_a_stream_does_not_expire(kept: str) -> None:
    """What is left of the stream shows that something of it is gone, if it comes after that."""
    world = World(seed=6).fill(200)
    positions = max(streams(world).values(), key=len)
    assert len(positions) > 4
    stays = {"first": 0, "middle": len(positions) // 2, "last": len(positions) - 1}[kept]
    gone = [p for n, p in enumerate(positions) if n != stays]
    if kept == "first":
        # Every entry after it is gone: only the entry that says so can be held against it.
        gone = gone[:-1]
        stays = len(positions) - 1
    expire(world, gone)
    report = in_memory(emptied(world, gone))
    assert report.verdict is Verdict.FAILED
    assert positions[stays] in [f.position for f in report.failures]
    assert report.checked["expired"] == len(gone)


def test_the_entry_that_explains_is_itself_said_to_be_gone() -> None:
    """Its own entries are then unexplained."""
    world = World(seed=8).fill(60)
    (positions, *_) = streams(world).values()
    first = expire(world, positions)
    expire(world, [first])
    report = in_memory(emptied(world, [*positions, first]))
    assert report.verdict is Verdict.FAILED
    assert [f.position for f in report.failures] == positions


def test_many_expiries_change_nothing() -> None:
    """One after the other, in any order, until hardly anything is left."""
    world = World(seed=9).fill(600)
    order = list(streams(world).values())
    random.Random(1).shuffle(order)
    gone: list[int] = []
    for positions in order[: len(order) * 4 // 5]:
        expire(world, positions)
        gone += positions
    report = in_memory(emptied(world, gone))
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["expired"] == len(gone)


def test_every_job_finds_the_same(expired: tuple[World, list[int]]) -> None:
    world, gone = expired
    assert (
        in_memory(emptied(world, gone), jobs=2).checked == in_memory(emptied(world, gone)).checked
    )


def test_a_run_goes_on_after_an_expiry(tmp_path: Path) -> None:
    """What an earlier run found is not read again; what expires after it is explained after it."""
    world, state = World(seed=10).fill(520), State()
    gone: list[int] = []
    trust = policy()

    def run() -> Report:
        known = [earlier_checkpoint(raw, trust, "before") for raw in state.checkpoints()]
        with serving(emptied(world, gone)) as server:
            reader = HttpLogReader(server.url, TOKEN)
            report = verify_log(
                reader, trust, remembered=known, state=state, options=Options(wait=0.0)
            )
            reader.close()
            state.save(tmp_path / "state")
            return report

    assert run().verdict is Verdict.VERIFIED
    for place in range(3):
        positions = list(streams(world).values())[place]
        gone += positions
        expire(world, positions)
        world.fill(len(world.entries) + 30)
        report = run()
        assert report.verdict is Verdict.VERIFIED, report.failures
        assert report.checked["entries_before"] > 0
    world.fill(len(world.entries) + 10)
    late = next(p for p in range(len(world.entries) - 1, 0, -1) if p not in set(gone))
    gone.append(late)
    report = run()
    assert report.verdict is Verdict.FAILED
    assert [f.position for f in report.failures] == [late]


def test_an_expiry_while_the_log_is_read(tmp_path: Path) -> None:
    """The entry that explains it comes after the checkpoint that was to be verified."""
    world = World(seed=11).fill(300)
    first = world.members()["checkpoint"]
    (positions, *_) = streams(world).values()
    expire(world, positions)
    with serving(emptied(world, positions)) as server:
        old = world_at(world, 300, positions)
        server.members.update({k: v for k, v in old.items() if k != "checkpoint"})
        server.checkpoints = [first]
        reader = HttpLogReader(server.url, TOKEN)
        recording = RecordingReader(reader)
        report = verify_log(recording, policy(), options=Options(wait=0.0))
        with (tmp_path / "saved").open("wb") as file:
            recording.save(file)
        recording.close()
        reader.close()
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.tree_size == len(world.entries)
    with (tmp_path / "saved").open("rb") as file:
        saved = verify_log(BundleLogReader(BundleReader(file)), policy())
    assert saved.verdict is Verdict.VERIFIED, saved.failures


def world_at(world: World, size: int, gone: list[int]) -> dict[str, bytes]:
    """The members of an earlier size, with no bytes at some positions."""
    before = World(entries=world.entries[:size])
    return emptied(before, gone)


def test_what_may_explain_it_was_not_read(expired: tuple[World, list[int]]) -> None:
    world, gone = expired
    members = emptied(world, gone)
    with serving(members) as server:
        last = max(name for name in members if name.startswith("tile/entries/"))
        server.replies[last] = Reply(500, b"")
        reader = HttpLogReader(server.url, TOKEN)
        report = verify_log(reader, policy(), options=Options(wait=0.0))
        reader.close()
    assert report.verdict is Verdict.UNVERIFIABLE
    assert any("what may explain that was not read" in line for line in report.lacking)


def test_a_receipt_outlives_the_entry(expired: tuple[World, list[int]]) -> None:
    """Whoever kept an entry's bytes and its receipt proves by them what it always proved."""
    world, gone = expired
    receipt = world.receipt(gone[0], mldsa=True, witnessed=True)
    assert verify_receipt(receipt, world.entries[gone[0]], policy()).verdict is Verdict.VERIFIED
    report = in_memory(emptied(world, gone), since=(receipt,))
    assert report.verdict is Verdict.VERIFIED, report.failures


@given(
    st.lists(st.integers(1, 20_000), unique=True, max_size=60),
    st.lists(st.integers(1, 20_000), unique=True, max_size=60),
)
def test_positions_are_held_against_each_other_as_sets(one: list[int], two: list[int]) -> None:
    expiries = Expiries(Findings())
    for position in one:
        expiries.absent(position)
    if two:
        flat = [end for span in spans_from(two) for end in span]
        assert expiries.learn(20_001, {**SAID, "spans": flat}) is None
    absent, claimed = set(one), set(two)
    assert expiries.expired == len(absent & claimed)
    assert expiries.unexplained == len(absent - claimed)
    assert [*positions_in(expiries.missing())] == sorted(absent - claimed)
    assert [*positions_in(expiries.still_there())] == sorted(claimed - absent)
    later = [p for p in sorted(claimed - absent) if p >= 5000]
    assert [*positions_in(expiries.still_there(5000))] == later


def positions_in(spans: Any) -> Any:
    for first, last in spans:
        yield from range(first, last + 1)
