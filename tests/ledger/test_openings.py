"""How many streams one reader has opened within a day."""

from contextlib import closing
from pathlib import Path
from uuid import uuid4

from ledger.access import Role
from ledger.database import SqliteDatabase
from ledger.openings import DAY_SECONDS, Openings
from tests.ledger.acts import credential

ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


def test_openings_are_counted_for_a_day_and_through_a_restart(tmp_path: Path) -> None:
    now, who = [1_000_000.0], credential(Role.DPO)
    for count, (stream, person) in enumerate(
        [("case/a", ACTOR), ("case/b", ACTOR), ("case/c", None)], 1
    ):
        with closing(SqliteDatabase(tmp_path / "access.sqlite")) as database:
            openings = Openings(database, lambda: now[0])
            openings.create()
            assert openings.note(who, person, stream) == count
        now[0] += 1
    with closing(SqliteDatabase(tmp_path / "access.sqlite")) as database:
        openings = Openings(database, lambda: now[0])
        assert openings.note(who, ACTOR, "case/a") == 3
        now[0] += DAY_SECONDS
        assert openings.note(who, ACTOR, "case/d") == 1


def test_they_count_for_the_person_with_any_token_and_for_the_token_whoever_it_names(
    tmp_path: Path,
) -> None:
    one, other = credential(Role.DPO), credential(Role.DPO)
    with closing(SqliteDatabase(tmp_path / "access.sqlite")) as database:
        openings = Openings(database)
        openings.create()
        for count in range(1, 4):
            assert openings.note(one, str(uuid4()), f"case/{count}") == count
        assert openings.note(other, ACTOR, "case/9") == 1
        # That person's second stream, and the first token's fourth.
        assert openings.note(one, ACTOR, "case/8") == 4
        assert openings.note(other, ACTOR, "case/7") == 3
