"""Every kind of attack on every target, a few instances of each; `make tamper` makes more.

The seed is fixed, so that what is tried is the same at the next run.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import Random
from typing import Any

import pytest

from tests.conftest import MakeDatabase
from tests.tamper.every import GROUPS, make_source, target_of
from tests.tamper.matrix import Attack, Control, Expected, Target, run, run_control
from tests.tamper.subject import Subject

INSTANCES = 1
SEED = 1

TargetOf = Callable[[str], Target]


@pytest.fixture(scope="module")
def target(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[TargetOf]:
    """The target of a group, over a ledger that is made when it is first needed."""
    folder = tmp_path_factory.mktemp("tamper")
    subjects: dict[str, Subject] = {}
    made: dict[str, Target] = {}
    with ExitStack() as stack:

        def get(group: str) -> Target:
            if group in made:
                return made[group]
            source = GROUPS[group].source
            if source not in subjects:
                database = None
                if source == "PostgreSQL":
                    make: MakeDatabase = request.getfixturevalue("postgres")
                    database = make()
                subjects[source] = make_source(source, folder, database)
            made[group] = stack.enter_context(target_of(group, subjects[source], folder))
            return made[group]

        yield get


@pytest.mark.parametrize(
    ("group", "name", "control"),
    [
        pytest.param(group, name, control, id=f"{group}: {name}")
        for group, what in GROUPS.items()
        for name, control in what.controls.items()
    ],
)
def test_what_is_no_attack_is_verified(
    target: TargetOf, group: str, name: str, control: Control
) -> None:
    row = run_control(name, control, target(group), INSTANCES, SEED)
    assert row.good, row.misses


@pytest.mark.parametrize(
    ("group", "attack"),
    [
        pytest.param(group, attack, id=f"{group}: {attack.kind}")
        for group, what in GROUPS.items()
        for attack in what.attacks
    ],
)
def test_every_instance_is_caught_and_located(target: TargetOf, group: str, attack: Attack) -> None:
    row = run(attack, target(group), INSTANCES, SEED)
    assert row.good, row.misses


def test_an_attack_that_changes_nothing_is_told(target: TargetOf) -> None:
    """The judgement can fail: nothing is caught where nothing was done."""
    row = run(Attack("idle", lambda _stage, _random: Expected(5)), target("log bundle"), 1, SEED)
    assert (row.instances, row.caught, row.located, row.good) == (1, 0, 0, False)


def test_a_failure_at_another_place_is_not_located(target: TargetOf) -> None:
    for attack in GROUPS["log bundle"].attacks[:3]:

        def elsewhere(stage: Any, random: Random, attack: Attack = attack) -> Expected:
            found = attack.play(stage, random)
            assert found.at is not None
            return Expected(found.at + 1, words=found.words)

        row = run(Attack(attack.kind, elsewhere), target("log bundle"), INSTANCES, SEED)
        assert (row.caught, row.located) == (INSTANCES, 0)


def test_what_names_nothing_is_no_expectation() -> None:
    with pytest.raises(ValueError, match="names nothing"):
        Expected(narrowed=True)


def test_kinds_are_told_apart() -> None:
    for group in GROUPS.values():
        kinds = [attack.kind for attack in group.attacks]
        assert len(kinds) == len(set(kinds))
