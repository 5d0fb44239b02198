"""The simulated year: well formed, in order, the same every time, and in its stated proportions."""

import hashlib
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo import figures, people
from demo.acts import Act, in_order
from demo.simulate import events
from ledger.catalogue import CATALOGUE
from ledger_verifier.formats.entry import is_uuid
from ledger_verifier.meaning.schemas import SERVICE_TYPES

Event = dict[str, Any]


@pytest.fixture(scope="module")
def year() -> list[Event]:
    """The year that the demonstration records."""
    return list(events(867))


@pytest.fixture(scope="module")
def many() -> list[Event]:
    """Enough cases for proportions to be near what they are drawn from."""
    return list(events(1, cases=4000, referrals=2000))


def _digest(found: list[Event]) -> str:
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _act(at: datetime) -> Act:
    return Act(at, "", "", "", "", "", "", "", {})


def _of(found: list[Event], type_name: str) -> list[Event]:
    return [event for event in found if event["type"] == type_name]


def _cases(found: list[Event]) -> dict[str, list[Event]]:
    """Events by case, for cases that were begun early enough for the whole story to be told."""
    stories = defaultdict(list)
    for event in found:
        if event["subject"].startswith("case/"):
            stories[event["subject"]].append(event)
    return {subject: story for subject, story in stories.items() if story[0]["time"] < "2020-07-01"}


#: What does not happen in the year: requests of access, who makes them and what they contest,
#: holds, an expiry, and what goes with an erasure, which `demo.erasure` shows by itself.
NOT_IN_THE_YEAR = {
    "access_request.answered",
    "access_request.received",
    "access_request.waived",
    "accuracy.contested",
    "capacity.assessed",
    "case.split",
    "cases.merged",
    "destruction.confirmed",
    "entry.misattributed",
    "expiry.ordered",
    "identity.verified",
    "legal_hold.placed",
    "legal_hold.released",
    "pack.offered",
    "party.recorded",
    "policy.adopted",
    "rectification.decided",
    "rectification.notified",
    "representative.authorised",
    "representative.revoked",
    "source_erasure.confirmed",
    "source_erasure.requested",
}


def test_year_is_long_enough_and_uses_the_types_of_a_year(year: list[Event]) -> None:
    assert len(year) >= 2000
    known = {event_type.type for event_type in CATALOGUE.types()}
    assert known > NOT_IN_THE_YEAR
    # What the ledger records of itself is not simulated.
    own = SERVICE_TYPES - {"record.consulted"}
    assert {event["type"] for event in year} == known - NOT_IN_THE_YEAR - own


def test_every_event_is_what_its_type_says(year: list[Event]) -> None:
    for event in year:
        known = CATALOGUE.get(event["type"])
        assert known is not None
        known.validate(event["data"])
        kind, _, stream = event["subject"].partition("/")
        assert kind in known.stream_kinds
        assert is_uuid(stream)
        assert is_uuid(event["id"])
        assert is_uuid(event["actor"])
        assert event["hub"] in {figures.LEWISHAM, figures.CENTRAL}
        assert event["regime"] in {"uk_gdpr", "dpa_part3"}


def test_events_come_in_order_of_time_and_ids_are_unique(year: list[Event]) -> None:
    times = [event["time"] for event in year]
    assert times == sorted(times)
    assert len({event["id"] for event in year}) == len(year)


def test_a_seed_fixes_the_year_and_another_changes_it() -> None:
    one, again, other = (list(events(seed, 5, 5)) for seed in (1, 1, 2))
    assert _digest(one) == _digest(again)
    assert _digest(one) != _digest(other)


def test_lives_are_begun_only_when_their_time_comes() -> None:
    begun = []

    def lives() -> Iterator[list[Act]]:
        for day in range(1, 6):
            begun.append(day)
            first = datetime(2020, 4, day, tzinfo=UTC)
            yield [_act(first), _act(first + timedelta(days=2))]

    acts = in_order(lives())
    assert next(acts).at.day == 1
    assert begun == [1, 2]
    assert [act.at.day for act in acts] == [2, 3, 3, 4, 4, 5, 5, 6, 7]


def test_every_case_begins_with_its_identification(year: list[Event]) -> None:
    for story in _cases(year).values():
        assert story[0]["type"] == "subject.identified"
        assert len(_of(story, "subject.identified")) == 1


def test_withholding_never_shows_in_the_case(year: list[Event]) -> None:
    withheld = _of(year, "notification.withheld")
    assert withheld
    for event in withheld:
        assert event["subject"].startswith("restricted/")
        assert event["data"]["linked_case"] not in event["subject"]
        told = f"case/{event['data']['linked_case']}"
        story = [other for other in year if other["subject"] == told]
        assert not _of(story, "subject.notified")
        assert event["data"]["approver"] != event["actor"]


def test_acknowledgements_follow_their_disclosure(year: list[Event]) -> None:
    sent = {event["data"]["disclosure_id"]: event for event in _of(year, "data.disclosed")}
    for event in _of(year, "disclosure.acknowledged"):
        disclosed = sent[event["data"]["disclosure_id"]]
        assert disclosed["time"] < event["time"]
        assert disclosed["subject"] == event["subject"]
        assert disclosed["data"]["version_digest"] == event["data"]["received_digest"]


def test_an_erasure_is_ordered_first_and_by_somebody_else(year: list[Event]) -> None:
    ordered = {event["subject"]: event for event in _of(year, "erasure.ordered")}
    executed = _of(year, "erasure.executed")
    assert executed
    for event in executed:
        order = ordered[event["subject"]]
        assert order["time"] < event["time"]
        assert order["actor"] != event["actor"] == event["data"]["executor"]


def test_recipients_confirm_what_they_were_told_to_erase(year: list[Event]) -> None:
    sent = {event["data"]["disclosure_id"]: event for event in _of(year, "data.disclosed")}
    told = {
        event["data"]["disclosure_id"]: event for event in _of(year, "recipient_erasure.requested")
    }
    confirmed = _of(year, "recipient_erasure.confirmed")
    assert 0 < len(confirmed) < len(told)
    for event in confirmed:
        share = event["data"]["disclosure_id"]
        assert sent[share]["time"] < told[share]["time"] < event["time"]
        assert sent[share]["subject"] == told[share]["subject"] == event["subject"]
        assert event["organisation"] == sent[share]["data"]["recipient_organisation"]


def test_a_correction_names_an_earlier_event_of_its_own_stream(year: list[Event]) -> None:
    by_id = {event["id"]: event for event in year}
    corrections = _of(year, "event.corrected")
    assert corrections
    for event in corrections:
        mistake = by_id[event["data"]["corrected_event"]]
        assert mistake["time"] < event["time"]
        assert mistake["subject"] == event["subject"]


def test_nothing_follows_an_erasure(year: list[Event]) -> None:
    erased = {event["subject"]: event["time"] for event in _of(year, "erasure.executed")}
    assert erased
    for event in year:
        assert event["time"] <= erased.get(event["subject"], event["time"])


def test_proportions_are_those_stated(many: list[Event]) -> None:
    stories = _cases(many)
    accepted = [story for story in stories.values() if _of(story, "support.offered")]
    informed = [story for story in accepted if _of(story, "subject.notified")]
    linked = {f"case/{e['data']['linked_case']}" for e in _of(many, "notification.withheld")}
    withheld = [story for story in accepted if story[0]["subject"] in linked]
    delays = [_of(story, "subject.notified")[0]["data"]["delay_days"] for story in informed]
    count = len(accepted)
    assert count / len(stories) == pytest.approx(figures.SHARE_ACCEPTED, abs=0.05)
    assert len(informed) / count == pytest.approx(figures.SHARE_INFORMED, abs=0.05)
    assert len(withheld) / count == pytest.approx(figures.SHARE_WITHHELD, abs=0.04)
    assert count > len(informed) + len(withheld)
    assert statistics.median(delays) == pytest.approx(figures.INFORMED_MEDIAN_DAYS, abs=2)
    disclosures = sum(len(_of(story, "data.disclosed")) for story in accepted)
    assert disclosures / count == pytest.approx(figures.DISCLOSURES_A_CASE, rel=0.1)


def test_platforms_remove_the_published_share(many: list[Event]) -> None:
    outcomes = _of(many, "content.outcome_recorded")
    removed = sum(event["data"]["outcome"] == "removed" for event in outcomes)
    assert removed / len(outcomes) == pytest.approx(figures.SHARE_REMOVED, abs=0.03)


def test_rejected_people_are_erased_in_time(many: list[Event]) -> None:
    for story in _cases(many).values():
        closed = _of(story, "case.closed")
        if closed and closed[0]["data"]["reason"] == "not-accepted":
            assert _of(story, "erasure.executed")
            assert story[-1]["time"][:10] <= closed[0]["data"]["erase_due"]


def test_everybody_is_plainly_invented(year: list[Event]) -> None:
    for event in _of(year, "subject.identified"):
        data = event["data"]
        assert data["identity_token"].startswith("SYNTHETIC-")
        assert data["address"].endswith("Borough of Nowhere")
        assert data["reasons"] in people.REASONS
        assert all(text.startswith("Invented:") for text in people.REASONS)
    for event in _of(year, "content.referred"):
        assert event["data"]["url"].startswith("https://video.example/")
        assert event["data"]["handle"].startswith("synthetic_account_")
