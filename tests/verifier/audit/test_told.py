"""What a report must tell besides its verdict, and rules that an insider might slip past."""

from pathlib import Path
from typing import Any

import pytest

from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.report.as_html import as_html
from ledger_verifier.audit.report.as_json import as_object
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.audit.state import State
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.disclosure import Disclosure

from .conftest import SIZE, Verify
from .test_cli import bad, called, good, trust
from .world import World, policy

__all__ = ["bad", "good", "trust"]


def one_failure(report: Report) -> tuple[int | None, str | None, str]:
    assert report.verdict is Verdict.FAILED
    (failure,) = report.failures
    return failure.position, failure.field, failure.reason


def test_earlier_checkpoints_are_named(over_bundle: Verify, world: World) -> None:
    since = (world.checkpoint(100), world.checkpoint(SIZE), world.checkpoint(400))
    report = over_bundle(world.members(), since=since)
    assert [(c.size, c.label, c.agrees) for c in report.compared] == [
        (SIZE, "since-1", True),
        (400, "since-2", True),
        (100, "since-0", True),
    ]
    assert as_object(report)["compared"][1] == {
        "size": 400,
        "label": "since-2",
        "agrees": True,
        "then": False,
    }
    assert "Since-2: the first 400 entries are the ones it signs." in as_html(report).decode()


def test_an_earlier_checkpoint_that_does_not_agree_is_named(
    over_bundle: Verify, world: World
) -> None:
    other = World(seed=2).fill(SIZE)
    report = over_bundle(world.members(), since=(other.checkpoint(100), other.checkpoint(SIZE)))
    assert report.verdict is Verdict.FAILED
    assert [(c.size, c.agrees) for c in report.compared] == [(SIZE, False), (100, False)]


def test_what_an_earlier_run_compared_is_named_too(over_bundle: Verify, world: World) -> None:
    state = State()
    first, second = (World(entries=world.entries[:n]) for n in (300, 520))
    early = world.checkpoint(100)
    assert over_bundle(first.members(), state=state, since=(early,)).compared[0].size == 100
    report = over_bundle(second.members(), state=state, since=(early, first.checkpoint()))
    assert "entries_before" in report.checked
    assert [(c.size, c.then) for c in report.compared] == [(300, False), (100, True)]
    assert "found by an earlier run" in report.compared[1].words


def test_earlier_checkpoints_on_the_terminal(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str, tmp_path: Path
) -> None:
    state = str(tmp_path / "seen.json")
    for _ in range(2):
        _, out, _ = called(capsysbinary, "bundle", good, "--policy", trust, "--state", state)
    text = " ".join(out.split())
    assert "Compared with what was seen earlier" in text
    assert "the checkpoint of size 300 remembered in seen.json: the first 300 entries are" in text


def test_no_word_of_the_trade_is_left_unexplained(
    capsysbinary: pytest.CaptureFixture[bytes], trust: str, good: str
) -> None:
    """Counts are given in words, and each name that the JSON has for one is in the manual."""
    _, out, _ = called(capsysbinary, "bundle", good, "--policy", trust)
    assert "Hashes in those tables that were computed again: 301" in out
    assert "cells:" not in out
    assert "conduct not judged:" not in out
    manual = (Path(__file__).parents[3] / "docs" / "verify.md").read_text()
    for word in ("registrations", "cell", "conduct_not_judged", "unopened", "entries_before"):
        assert word in manual


def test_unopened_fields_are_counted(tmp_path: Path) -> None:
    world = World(seed=9).fill(20, streams=2)
    stream = next(name for name in world.heads if name.startswith("case/"))
    parts = world.case(stream)

    def check(name: str) -> Report:
        with parts.write(tmp_path / name).open("rb") as file:
            return verify_case(BundleReader(file), policy())

    report = check("whole")
    assert report.checked["unopened"] == 0
    assert not any("sealed fields" in line for line in report.not_assessed)
    first, second = parts.manifest.positions[:2]
    del parts.opened[first]
    parts.opened[second].pop()
    report = check("part")
    assert report.verdict is Verdict.VERIFIED
    assert report.checked["unopened"] == 3
    assert any("what 3 sealed fields of 2 entries say" in line for line in report.not_assessed)


def recorded_by_the_service(type_: str) -> World:
    world = World(seed=3)
    world.open()
    world.register("record.consulted", ["access"])
    opened = [Disclosure.make("name", None), Disclosure.make("grounds", None)]
    data = {"purpose": "support", "times": 1, "_sd": sorted(d.digest for d in opened)}
    kind = "access" if type_ == "record.consulted" else "case"
    members = {"source": "hub-ledger", "organisation": "hub-ledger", "actor": None}
    world.append(world.draft(type_, f"{kind}/{world.uuid()}", data, **members))
    return world.fill(20, streams=2)


def test_what_the_service_records_as_its_own(over_bundle: Verify) -> None:
    """Nobody is named in it: that is for readings alone, or any type could do without an actor."""
    good = over_bundle(recorded_by_the_service("record.consulted").members())
    assert good.verdict is Verdict.VERIFIED
    position, field, reason = one_failure(
        over_bundle(recorded_by_the_service("note.added").members())
    )
    assert (position, field) == (4, "source")
    assert "records no entry of this type" in reason


def rotated(**members: Any) -> World:
    world = World(seed=3)
    world.open()
    world.register("wrapping_key.rotated", ["ledger"])
    opened = [Disclosure.make("name", None), Disclosure.make("grounds", None)]
    data = {"purpose": "support", "times": 1, "_sd": sorted(d.digest for d in opened)}
    world.ledger("wrapping_key.rotated", data, **members)
    return world.fill(20, streams=2)


def test_what_the_ledger_alone_records(over_bundle: Verify) -> None:
    """A hub's system that tells of the ledger's own keys is not believed."""
    assert over_bundle(rotated().members()).verdict is Verdict.VERIFIED
    somebody = World(seed=9).uuid()
    hub = {"actor": somebody, "submitted_by": somebody, "regime": "uk_gdpr"}
    forged = rotated(source="lewisham-cases", organisation="lewisham-council", **hub)
    position, field, reason = one_failure(over_bundle(forged.members()))
    assert (position, field) == (4, "source")
    assert "by the ledger itself alone" in reason


def test_types_are_declared_in_the_first_stream_alone(over_bundle: Verify) -> None:
    world = World(seed=3)
    world.open()
    world._ledger = world.uuid()
    at = world.register("day.noted", ["case"])
    position, field, reason = one_failure(over_bundle(world.fill(20, streams=2).members()))
    assert (position, field) == (at, "stream")
    assert "registered in the stream of entry 0" in reason
