"""Logs that were wrong when they were signed: the tree holds, what the entries say does not."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import encode
from ledger_verifier.meaning.schemas import TRUE_FIELDS

from .conftest import Verify
from .world import World, instant, sign

AT = 12


def log_with(raw: bytes) -> World:
    """A log of 20 entries whose entry 12 is these bytes, signed as it stands."""
    world = World(seed=3).fill(AT, streams=3)
    world.append_raw(raw)
    return world.fill(20, streams=3)


def draft(**members: Any) -> dict[str, Any]:
    """What would be a good entry 12 of that log, but for these members."""
    world = World(seed=3).fill(AT, streams=3)
    stream = [name for name in world.heads if name.startswith("case/")][AT % 3]
    return {**world.note(stream), **members}


def dumped(entry: dict[str, Any]) -> bytes:
    """Canonical bytes of an entry that `encode` may refuse."""
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)


def failure_of(report: Report) -> tuple[int | None, str | None, str]:
    assert report.verdict is Verdict.FAILED
    first = report.failures[0]
    return first.position, first.field, first.reason


def test_the_draft_itself_is_good(verify: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    world.append(draft())
    assert verify(world.fill(20, streams=3).members()).verdict is Verdict.VERIFIED


def edit(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert old in raw
    return raw.replace(old, new, 1)


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "a duplicate key": lambda raw: edit(raw, b'"times":12', b'"times":12,"times":13'),
    "a duplicate member": lambda raw: edit(raw, b'"schema":1', b'"schema":1,"schema":1'),
    "a float": lambda raw: edit(raw, b'"times":12', b'"times":12.0'),
    "an exponent": lambda raw: edit(raw, b'"times":12', b'"times":1e1'),
    "2^53": lambda raw: edit(raw, b'"times":12', b'"times":9007199254740992'),
    "2^64": lambda raw: edit(raw, b'"times":12', b'"times":18446744073709551616'),
    "not a number": lambda raw: edit(raw, b'"times":12', b'"times":NaN'),
    "minus zero": lambda raw: edit(raw, b'"times":12', b'"times":-0'),
    "a space": lambda raw: edit(raw, b'"times":12', b'"times": 12'),
    "an escape": lambda raw: edit(raw, b'"support"', b'"\\u0073upport"'),
    "keys in another order": lambda raw: raw[:-1] + b',"actor":null}',
    "a string not in NFC": lambda raw: edit(
        raw, b"lewisham-hub", "lewisham-hu\u0062\u0301".encode()
    ),
    "a newline at the end": lambda raw: raw + b"\n",
    "a byte order mark": lambda raw: b"\xef\xbb\xbf" + raw,
    "an invalid byte": lambda raw: edit(raw, b"lewisham-hub", b"lewisham-\xff"),
    "a lone surrogate": lambda raw: edit(raw, b"lewisham-hub", b"\\ud800"),
    "cut short": lambda raw: raw[:-2],
    "an array": lambda raw: b"[" + raw + b"]",
    "deep nesting": lambda raw: b"[" * 60_000,
    "deep nesting inside": lambda raw: edit(raw, b'"times":12', b'"x":' + b"[" * 500 + b"]" * 500),
    "an unknown member": lambda raw: edit(raw, b'"type"', b'"tyqe":1,"type"'),
    "a key not in ASCII": lambda raw: edit(raw, b'"times"', '"tim\u00e9s"'.encode()),
    "no format": lambda raw: edit(raw, b'"format":"hub-ledger/entry@v1",', b""),
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_not_canonical(over_bundle: Verify, name: str) -> None:
    raw = BYTES[name](dumped(draft()))
    position, _, reason = failure_of(over_bundle(log_with(raw).members()))
    assert position == AT
    assert "lewisham" not in reason


MEMBERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "id of version 1": ({"id": "6f1c2d3e-0000-1000-8000-000000000001"}, "id"),
    "upper-case id": ({"id": "6F1C2D3E-0000-4000-8000-000000000001"}, "id"),
    "nonce": ({"nonce": "short"}, "nonce"),
    "type": ({"type": "Note"}, "type"),
    "type not registered": ({"type": "note.removed"}, "type"),
    "schema not registered": ({"schema": 2}, "type"),
    "schema as text": ({"schema": "1"}, "schema"),
    "schema as flag": ({"schema": True}, "schema"),
    "a day that is none": ({"occurred_at": "2026-02-30T00:00:00.000Z"}, "occurred_at"),
    "a date where an instant is declared": ({"occurred_at": "2026-02-03"}, "occurred_at"),
    "an offset": ({"recorded_at": "2026-09-21T14:13:32.000+01:00"}, "recorded_at"),
    "source in free text": ({"source": "Ada Example"}, "source"),
    "organisation": ({"organisation": "x"}, "organisation"),
    "hub": ({"hub": "Lewisham"}, "hub"),
    "actor": ({"actor": "ada"}, "actor"),
    "no actor": ({"actor": None}, "actor"),
    "no regime": ({"regime": None}, "actor"),
    "regime": ({"regime": "gdpr"}, "regime"),
    "regime as a list": ({"regime": []}, "regime"),
    "regime as an object": ({"regime": {}}, "regime"),
    "source as a list": ({"source": ["a"]}, "source"),
    "type as an object": ({"type": {}}, "type"),
    "stream as text": ({"stream": "case/1"}, "stream"),
    "stream of lists": (
        {"stream": {"kind": [], "id": [], "version": [], "previous": []}},
        "stream.kind",
    ),
    "data as null": ({"data": None}, "data"),
    "_sd as null": ({"data": {"_sd": None}}, "data._sd"),
    "_sd of numbers": ({"data": {"_sd": [1, 2]}}, "data._sd"),
    "algorithm": ({"_sd_alg": "sha-512"}, "_sd_alg"),
    "a reserved type": ({"type": "schema.registered"}, "type"),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_members_that_are_wrong(over_bundle: Verify, name: str) -> None:
    members, field = MEMBERS[name]
    raw = dumped(draft(**members))
    position, found, reason = failure_of(over_bundle(log_with(raw).members()))
    assert (position, found) == (AT, field)
    assert "Ada" not in reason


DATA: dict[str, tuple[dict[str, Any], str]] = {
    "free text": ({"purpose": "because Ada Example asked"}, "data.purpose"),
    "another code": ({"purpose": "gossip"}, "data.purpose"),
    "null": ({"purpose": None}, "data.purpose"),
    "a list": ({"purpose": ["support"]}, "data.purpose"),
    "a negative count": ({"times": -1}, "data.times"),
    "a flag for a count": ({"times": True}, "data.times"),
    "a field that is not registered": ({"name": "Ada"}, "data"),
    "too few digests": ({"_sd": []}, "data._sd"),
}


@pytest.mark.parametrize("name", DATA)
def test_data_that_is_not_as_registered(over_bundle: Verify, name: str) -> None:
    data, field = DATA[name]
    entry = draft()
    entry["data"] = {**entry["data"], **data}
    position, found, reason = failure_of(over_bundle(log_with(dumped(entry)).members()))
    assert (position, found) == (AT, field)
    assert "Ada" not in reason


def test_a_type_in_a_stream_of_another_kind(over_bundle: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    world.append(world.note(f"hub/{world.uuid()}"))
    report = over_bundle(world.fill(20, streams=3).members())
    assert failure_of(report)[:2] == (AT, "stream.kind")


def changed_stream(**members: Any) -> bytes:
    entry = draft()
    entry["stream"] = {**entry["stream"], **members}
    return dumped(entry)


def test_a_version_is_left_out(verify: Verify) -> None:
    version = draft()["stream"]["version"]
    report = verify(log_with(changed_stream(version=version + 1)).members())
    position, field, reason = failure_of(report)
    assert (position, field) == (AT, "stream.version")
    assert f"version {version + 1} follows version {version - 1}" in reason


def test_a_version_is_repeated(over_bundle: Verify) -> None:
    version = draft()["stream"]["version"]
    report = over_bundle(log_with(changed_stream(version=version - 1)).members())
    assert failure_of(report)[:2] == (AT, "stream.version")


def test_another_entry_is_named_as_the_one_before(verify: Verify) -> None:
    report = verify(log_with(changed_stream(previous="0" * 64)).members())
    position, field, reason = failure_of(report)
    assert (position, field) == (AT, "stream.previous")
    assert "position 9" in reason


def test_the_leaf_hash_does_not_do_for_the_link_hash(over_bundle: Verify) -> None:
    from ledger_verifier.formats.merkle import leaf_hash

    before = World(seed=3).fill(AT, streams=3).entries[9]
    report = over_bundle(log_with(changed_stream(previous=leaf_hash(before).hex())).members())
    assert failure_of(report)[:2] == (AT, "stream.previous")


def test_a_stream_begins_at_version_two(over_bundle: Verify) -> None:
    raw = changed_stream(id="6f1c2d3e-0000-4000-8000-000000000001", version=2, previous="0" * 64)
    assert failure_of(over_bundle(log_with(raw).members()))[:2] == (AT, "stream.version")


def test_two_entries_of_one_stream_swapped_before_signing(over_bundle: Verify) -> None:
    world = World(seed=3).fill(20, streams=1)
    world.entries[10], world.entries[11] = world.entries[11], world.entries[10]
    report = over_bundle(world.members())
    assert failure_of(report)[:2] == (10, "stream.version")
    assert report.failure_count == 2  # and recorded_at goes back at 11


def test_recorded_at_decreases(verify: Verify) -> None:
    early = instant(1_790_000_000_000 + 1000 * AT - 1001)
    world = World(seed=3).fill(AT, streams=3)
    stream = [name for name in world.heads if name.startswith("case/")][AT % 3]
    world.append(world.note(stream, recorded_at=early))
    position, field, _ = failure_of(report := verify(world.fill(20, streams=3).members()))
    assert (position, field) == (AT, "recorded_at")
    assert report.failure_count == 1


def test_recorded_at_may_stay_the_same(over_bundle: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    stream = [name for name in world.heads if name.startswith("case/")][AT % 3]
    world.append(world.note(stream, recorded_at=instant(1_790_000_000_000 + 1000 * AT - 1000)))
    assert over_bundle(world.fill(20, streams=3).members()).verdict is Verdict.VERIFIED


def test_a_second_genesis(verify: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    world.ledger("ledger.opened", orjson.loads(world.entries[0])["data"])
    position, field, reason = failure_of(verify(world.fill(20, streams=3).members()))
    assert (position, field) == (AT, "type")
    assert "second ledger.opened" in reason


def test_entry_zero_is_something_else(verify: Verify) -> None:
    world = World()
    world.register("note.added", ["case"])
    position, field, _ = failure_of(verify(world.fill(9, streams=2).members()))
    assert (position, field) == (0, "type")


def test_entry_zero_names_another_origin(over_bundle: Verify) -> None:
    world = World()
    world.open("ledger.test/other")
    assert failure_of(over_bundle(world.fill(9, streams=2).members()))[:2] == (0, "data.origin")


def test_entry_zero_names_other_keys(over_bundle: Verify) -> None:
    world = World()
    world.ledger("ledger.opened", {"origin": "ledger.test/hub", "keys": ["k"], "predecessor": None})
    world.register("note.added", ["case"])
    assert failure_of(over_bundle(world.fill(9, streams=2).members()))[:2] == (0, "data.keys")


def test_an_empty_log(verify: Verify) -> None:
    from ledger_verifier.formats.merkle import EMPTY_ROOT

    report = verify({"checkpoint": sign(0, EMPTY_ROOT)})
    assert report.verdict is Verdict.FAILED
    assert "no entry" in report.failures[0].reason


def test_a_schema_is_registered_twice(over_bundle: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    world.register("note.added", ["case"])
    assert failure_of(over_bundle(world.fill(20, streams=3).members()))[:2] == (AT, "data.type")


def test_a_type_is_used_before_it_is_registered(over_bundle: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    entry = world.note(f"case/{world.uuid()}", type="later.added")
    world.append(entry)
    world.register("later.added", ["case"])
    assert failure_of(over_bundle(world.fill(20, streams=3).members()))[:2] == (AT, "type")


def test_a_newer_schema_and_a_new_type_may_be_registered_later(over_bundle: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    world.register("note.added", ["case"], schema=2)
    world.append(world.note(f"case/{world.uuid()}", schema=2))
    report = over_bundle(world.members())
    assert report.verdict is Verdict.VERIFIED
    assert report.checked["registrations"] == 3
    assert any(line.startswith("conduct: ") for line in report.not_assessed)


def test_an_entry_of_a_newer_format(verify: Verify) -> None:
    raw = edit(dumped(draft()), b"hub-ledger/entry@v1", b"hub-ledger/entry@v2")
    report = verify(log_with(raw).members())
    assert report.verdict is Verdict.UNVERIFIABLE
    assert "position 12" in report.lacking[0]
    assert report.checked["unknown_format"] == 1


def test_an_entry_of_a_newer_format_hides_no_failure(over_bundle: Verify) -> None:
    world = log_with(edit(dumped(draft()), b"hub-ledger/entry@v1", b"hub-ledger/entry@v2"))
    world.append_raw(b"{}")
    report = over_bundle(world.members())
    assert failure_of(report)[0] == 20


def test_a_stream_may_go_on_after_what_could_not_be_read_but_not_back(over_bundle: Verify) -> None:
    raw = edit(dumped(draft()), b"hub-ledger/entry@v1", b"hub-ledger/entry@v2")
    world = log_with(raw)
    stream = next(name for name in world.heads if name.startswith("case/"))
    world.heads[stream] = (1, world.heads[stream][1])
    world.append(world.note(stream))
    later = World(seed=3, entries=world.entries[: AT + 1])
    later.append_raw(world.entries[-1])
    assert failure_of(over_bundle(later.members(log_at=0)))[1] == "stream.version"


def test_a_salt_used_twice(over_bundle: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    old = world.opened[5][0]
    entry = world.note(f"case/{world.uuid()}")
    fresh = Disclosure.make("grounds", "x").digest
    entry["data"]["_sd"] = sorted([old.digest, fresh])
    world.append(entry)
    members = world.fill(20, streams=3).members()
    plain = over_bundle(members)
    assert plain.verdict is Verdict.VERIFIED
    assert any("uniqueness" in line for line in plain.not_assessed)
    report = over_bundle(members, unique=True)
    position, field, reason = failure_of(report)
    assert (position, field) == (AT, "data._sd")
    assert "position 5" in reason


def test_an_id_used_twice(verify: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    again = orjson.loads(world.entries[7])["id"]
    world.append(world.note(f"case/{world.uuid()}", id=again))
    members = world.fill(20, streams=3).members()
    report = verify(members, unique=True)
    position, field, reason = failure_of(report)
    assert (position, field) == (AT, "id")
    assert "position 7" in reason


def test_an_id_used_by_two_sources(over_bundle: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    again = orjson.loads(world.entries[7])["id"]
    world.append(world.note(f"case/{world.uuid()}", id=again, source="another-hub"))
    report = over_bundle(world.members(), unique=True)
    assert report.verdict is Verdict.VERIFIED
    assert not any("uniqueness" in line for line in report.not_assessed)


def test_ids_of_recipients_cannot_be_judged(over_bundle: Verify) -> None:
    world = World(seed=3).fill(AT, streams=3)
    for _ in range(2):
        digests = sorted(Disclosure.make(name, None).digest for name in TRUE_FIELDS)
        data = {"recipient_category": "school", "_sd": digests}
        who = {"source": "school", "organisation": "school", "actor": None, "submitted_by": None}
        who["id"] = "6f1c2d3e-0000-4000-8000-000000000001"
        world.append(world.draft("reply.received", f"case/{world.uuid()}", data, **who))
    report = over_bundle(world.members(), unique=True)
    assert report.verdict is Verdict.VERIFIED
    assert any("2 entries that recipients submitted" in line for line in report.not_assessed)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
PATHS = [(name,) for name in draft()] + [
    (outer, inner) for outer in ("stream", "data") for inner in draft()[outer]
]


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_no_value_makes_the_verifier_raise(
    path: tuple[str, ...], value: Any, over_bundle: Verify
) -> None:
    entry = draft()
    inner = entry if len(path) == 1 else entry[path[0]]
    before, inner[path[-1]] = inner[path[-1]], value
    try:
        raw = dumped(entry)
    except (TypeError, ValueError):
        return
    report = over_bundle(log_with(raw).members())
    if type(value) is not type(before):
        assert report.verdict in (Verdict.FAILED, Verdict.UNVERIFIABLE) or value is None


def test_encode_refuses_what_the_verifier_refuses() -> None:
    assert encode(draft())
