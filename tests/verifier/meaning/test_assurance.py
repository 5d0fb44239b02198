"""When the ledger's own processing is covered: by what, from when, for whom."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import pytest

from ledger_verifier.meaning.assurance import NEEDED, NOT_COVERED, REVIEW_OVERDUE, Assurance
from tests.verifier.meaning.case_events import id_of

DAY: Final = "2026-03-01"
KINDS: Final = tuple(NEEDED)
ARRANGEMENT: Final = "joint-controller-arrangement"


def document(number: int, kind: str, stream: str = "", **said: Any) -> dict[str, Any]:
    """A document that covers the ledger from the first of January on; `said` says otherwise."""
    agreed = kind == ARRANGEMENT
    data: dict[str, Any] = {
        "_sd": [],
        "agreement_kind" if agreed else "assessment_kind": kind,
        "scope": ["ledger"],
        "effective_from": "2026-01-01",
        "review_due": "2027-01-01",
    }
    if not agreed:
        data["every_hub"] = True
    hub = said.pop("hub", "E09000023")
    return {
        "id": id_of(number),
        "type": "agreement.registered" if agreed else "assessment.approved",
        "stream": {"kind": "agreement" if agreed else "assessment", "id": stream or kind},
        "hub": hub,
        "data": {**data, **said},
    }


def correction(number: int, of: int, like: dict[str, Any]) -> dict[str, Any]:
    """A correction, in the stream of another entry."""
    data = {"_sd": [], "corrected_event": id_of(of)}
    return {**like, "id": id_of(number), "type": "event.corrected", "data": data}


ALL: Final = tuple(document(number, kind) for number, kind in enumerate(KINDS, 1))


def found(entries: Sequence[dict[str, Any]], day: str = DAY) -> dict[object, object]:
    """The documents of each finding, by rule."""
    assurance = Assurance()
    for entry in entries:
        assurance.learn(entry)
    return {one["rule"]: one["documents"] for one in assurance.findings(day)}


def test_nothing_is_covered_at_first() -> None:
    assert found([]) == {NOT_COVERED: list(KINDS)}


@pytest.mark.parametrize(
    "there", [some for count in range(4) for some in combinations(range(4), count)]
)
def test_each_document_is_missed(there: tuple[int, ...]) -> None:
    missing = [kind for number, kind in enumerate(KINDS) if number not in there]
    assert found([ALL[number] for number in there]) == {NOT_COVERED: missing}


def test_all_four_cover_it() -> None:
    assert found(ALL) == found(ALL[::-1]) == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "said",
    [
        {"scope": ["concern-hub"]},
        {"scope": None},
        {"scope": "ledger"},
        {"effective_from": "2026-03-02"},
        {"effective_from": None},
        {"agreement_kind": "processor-contract", "assessment_kind": "none"},
    ],
)
def test_what_covers_something_else_or_not_yet_does_not_count(
    kind: str, said: dict[str, Any]
) -> None:
    entries = [one for one in ALL if kind not in one["data"].values()]
    assert found([*entries, document(9, kind, **said)]) == {NOT_COVERED: [kind]}


def test_it_counts_from_its_first_day_on() -> None:
    assert NOT_COVERED in found(ALL, "2025-12-31")
    assert found(ALL, "2026-01-01") == {}


def test_an_assessment_for_one_hub_does_not_cover_a_ledger_of_several() -> None:
    narrow = document(1, KINDS[0], every_hub=False)
    assert found([narrow, *ALL[1:]]) == {NOT_COVERED: [KINDS[0]]}
    assert found([document(1, KINDS[0], every_hub=False, hub="central"), *ALL[1:]]) == {}


def test_a_review_that_is_past_due_is_told_until_a_newer_version_is_in_force() -> None:
    assert found(ALL, "2027-01-01") == {}
    assert found(ALL, "2027-01-02") == {REVIEW_OVERDUE: list(KINDS)}
    newer = document(8, KINDS[1], effective_from="2027-01-01", review_due=None)
    assert found([*ALL, newer], "2027-01-02") == {REVIEW_OVERDUE: [KINDS[0], *KINDS[2:]]}
    coming = document(8, KINDS[1], effective_from="2027-02-01", review_due=None)
    assert found([*ALL, coming], "2027-01-02") == {REVIEW_OVERDUE: list(KINDS)}


def test_a_newer_version_whose_review_is_due_sooner_counts_by_its_own_day() -> None:
    sooner = document(8, KINDS[0], effective_from="2026-02-01", review_due="2026-02-15")
    assert found([*ALL, sooner]) == {REVIEW_OVERDUE: [KINDS[0]]}
    elsewhere = document(8, KINDS[0], "another", review_due="2026-02-15")
    assert found([*ALL, elsewhere]) == {}


def test_a_corrected_document_does_not_count_and_a_corrected_correction_does_nothing() -> None:
    wrong = correction(7, of=1, like=ALL[0])
    assert found([*ALL, wrong]) == {NOT_COVERED: [KINDS[0]]}
    assert found([*ALL, wrong, correction(8, of=7, like=ALL[0])]) == {}
    # In another stream it speaks of nothing, and of what comes later it cannot speak.
    assert found([*ALL, correction(7, of=1, like=ALL[1])]) == {}
    assert found([*ALL[1:], correction(7, of=1, like=ALL[0]), ALL[0]]) == {}


def test_in_the_stream_of_a_case_nothing_of_it_is_said() -> None:
    assurance = Assurance()
    case = {**ALL[0], "stream": {"kind": "case", "id": "x"}}
    assert not assurance.learn(case)
    assert assurance.learn(ALL[0])


def test_a_finding_says_the_law_and_names_nobody() -> None:
    (one,) = Assurance().findings(DAY)
    assert one["severity"] == "critical"
    assert one["as_of"] == DAY
    assert one["law"] == list(NEEDED.values())
    assert "equality impact assessment" in str(one["says"])
