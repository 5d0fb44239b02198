"""Sealed fields that the log declares as lost: counted apart, and only where that can be."""

from typing import Any

import pytest

from ledger_verifier.audit.report.model import Verdict

from .conftest import Verify
from .world import World

LOST: dict[str, Any] = {
    "_sd": [],
    "key_class": "subject",
    "first": 4,
    "last": 9,
    "entries": 5,
    "backup_size": 4,
    "log_size": 12,
}


def log_with(**changes: Any) -> World:
    world = World(seed=3).fill(12, streams=3)
    data = {name: value for name, value in {**LOST, **changes}.items() if value is not None}
    world.ledger("sealed.lost", data)
    return world.fill(20, streams=3)


def test_what_is_declared_lost_is_counted(verify: Verify) -> None:
    report = verify(log_with().members())
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["sealed_lost"] == 5


def test_a_log_that_declares_no_loss_counts_none(verify: Verify) -> None:
    assert "sealed_lost" not in verify(World(seed=3).fill(20).members()).checked


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "more than there was": ({"log_size": 13}, "data.log_size"),
    "past the end of that log": ({"last": 12}, "data.last"),
    "the wrong way round": ({"first": 10}, "data.last"),
    "a backup larger than the log": ({"backup_size": 13}, "data.last"),
    "more entries than in the range": ({"entries": 7}, "data.entries"),
    "no entry": ({"entries": 0}, "data.entries"),
    "of no class": ({"key_class": "log"}, "data.key_class"),
    "not a count": ({"first": "4"}, "data.first"),
    "a member too many": ({"why": "x"}, "data"),
    "a member too few": ({"backup_size": None}, "data"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_loss_that_cannot_be(over_bundle: Verify, name: str) -> None:
    changes, field = WRONG[name]
    report = over_bundle(log_with(**changes).members())
    assert report.verdict is Verdict.FAILED
    assert [(f.position, f.field) for f in report.failures] == [(12, field)]
    assert "sealed_lost" not in report.checked


def test_losses_are_declared_in_the_stream_of_entry_0(over_bundle: Verify) -> None:
    world = World(seed=3).fill(12, streams=3)
    world.append(world.draft("sealed.lost", f"ledger/{world.uuid()}", LOST))
    report = over_bundle(world.fill(20, streams=3).members())
    assert [(f.position, f.field) for f in report.failures] == [(12, "stream")]


def test_hubs_declare_no_losses(over_bundle: Verify) -> None:
    world = World(seed=3).fill(12, streams=3)
    world.ledger("sealed.lost", LOST, source="lewisham-cases")
    report = over_bundle(world.fill(20, streams=3).members())
    assert [(f.position, f.field) for f in report.failures] == [(12, "source")]
