"""The types themselves: what is open, how they register, and that their examples can be posted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from ledger.catalogue import CATALOGUE, RESERVED, EventType, FieldClass
from ledger.catalogue.document import render
from ledger.catalogue.fields import Several, Text
from ledger.catalogue.model import FAMILIES
from ledger_verifier.formats import entry as entries
from ledger_verifier.meaning.schemas import SERVICE_ALONE_TYPES, Registry, kind_check
from tests.ledger.catalogue.json_schema import accepts, check_schema

ROOT: Final = Path(__file__).resolve().parents[3]
TYPES: Final = CATALOGUE.types()
EACH: Final = pytest.mark.parametrize("event_type", TYPES, ids=lambda one: one.type)

#: Kinds of stream in which only what is allowed below may be open.
ABOUT_PEOPLE: Final = frozenset({"case", "party", "access", "restricted", "content"})

#: Every name that may be open there, under the reason that allows it. To add a name is a
#: decision about personal data: it needs its reason, not just its line.
ALLOWED: Final = {
    "event id (v4/v7 only)": {
        "disclosure_id",
        "corrected_event",
        "contested_events",
        "contested_event",
        "decided_event",
        "misattributed_event",
        "moved_events",
        "placed_event",
        "authorised_event",
        "request_event",
        "ordered_event",
        "erased_events",
        "executed_event",
        "export_event",
        "consulted_event",
    },
    "rights requests: dates, regime, route": {"answer_due", "decision_due"},
    "purpose, criteria_version, dpia/authority/agreement refs, gateway, legal_basis": {
        "purpose",
        "case_purpose",
        "criteria_version",
        "dpia_ref",
        "authority_ref",
        "agreement_ref",
        "gateway",
        "legal_basis",
        "authorised_by_law",
    },
    "retention_rule_id as its review period only": {"review_period_months", "erase_due"},
    "automation_level, human_involvement, screening outcome, decision_role": {
        "automation_level",
        "human_involvement",
        "outcome",
        "decision_role",
    },
    "result_count banded 1 / 2-19 / 20+": {"result_count_band"},
    "recipient category and the band of subject_count": {
        "recipient_category",
        "subject_count_band",
    },
    "special-category/criminal data yes/no, and whether within the agreement's scope": {
        "special_category_data",
        "criminal_offence_data",
        "within_agreement_scope",
    },
    "redaction_profile, transfer_method, necessity and quality codes, overseas flag, "
    "onward_allowed, recipient_retention_until": {
        "redaction_profile",
        "transfer_method",
        "necessity",
        "quality_statement",
        "overseas",
        "overseas_transfer",
        "onward_sharing_allowed",
        "recipient_retention_until",
    },
    "notification checklist, delay_days, review_due, approver-is-not-requester": {
        "told_reasons",
        "told_legal_basis",
        "told_retention",
        "told_recipients",
        "told_rights",
        "told_complaint_to_controller",
        "told_complaint_to_commissioner",
        "delay_days",
        "review_due",
        "approver_is_not_requester",
        "assessor_is_not_approver",
    },
    "erasure trigger as scheduled / ordered": {"trigger"},
    "copies_found, banded": {"copies_found_band"},
    "what the service adds to an erasure": {"key_ids", "through", "versions"},
    "what the service finds in open entries, and looks at after an erasure": {
        "frozen_findings",
        "judged_through",
        "checked",
        "horizon_days",
    },
    "actor pseudonym: until when it is used, and on what power somebody asked whose it is": {
        "until",
        "power",
    },
    "how the log is read and what leaves it, by whom being sealed or in the envelope": {
        "audience",
        "expires_on",
        "from_position",
        "holds_sealed",
        "log_purpose",
    },
    "content platform, basis, route, repeat_of": {"platform", "basis", "route", "repeat_of"},
}
LISTED: Final = frozenset().union(*ALLOWED.values())

#: Types that section 62 logs.
LOGGED: Final = {"export.produced", "ledger.queried", "record.altered", "record.consulted"}

#: Every registration, in order.
GOLDEN: Final = Path(__file__).parent / "registrations.json"
NOBODY: Final = "00000000-0000-4000-8000-000000000000"
SUPPLIED: Final = {
    "true_source": "fictional-portal",
    "true_organisation": "fictional-trust",
    "true_actor": None,
    "true_submitted_by": NOBODY,
    "key_ids": [NOBODY],
    "through": 1,
    "versions": None,
    "merged_heads": ["0" * 64],
    "victim_with_suspect": False,
}


ROLES: Final = {
    "access_request.waived": frozenset({"coordinator", "dpo"}),
    "backup.horizon_passed": frozenset({"dpo"}),
    "case.split": frozenset({"coordinator", "dpo"}),
    "cases.merged": frozenset({"coordinator", "dpo"}),
    "entry.misattributed": frozenset({"coordinator", "dpo"}),
    "erasure.executed": frozenset({"dpo"}),
    "erasure.ordered": frozenset({"coordinator", "dpo"}),
    "legal_hold.released": frozenset({"coordinator", "dpo"}),
    "expiry.ordered": frozenset({"dpo"}),
    "policy.adopted": frozenset({"dpo"}),
}
RECIPIENTS: Final = frozenset({"disclosure.acknowledged", "recipient_erasure.confirmed"})


def _open_about_people() -> Iterator[tuple[EventType, str]]:
    for event_type in CATALOGUE.registrations():
        if ABOUT_PEOPLE.intersection(event_type.stream_kinds):
            yield from ((event_type, name) for name in event_type.open)


def test_only_listed_names_are_open_where_people_are_spoken_of() -> None:
    unlisted = [f"{one.type}: {name}" for one, name in _open_about_people() if name not in LISTED]
    assert unlisted == []


def test_the_list_holds_no_name_that_is_not_used() -> None:
    used = {name for _, name in _open_about_people()}
    assert used == LISTED


def test_of_outcomes_that_of_screening_alone_is_open() -> None:
    about_people = {one.type for one, name in _open_about_people() if name == "outcome"}
    assert about_people == {"screening.decided"}


@EACH
def test_every_open_kind_is_in_the_grammar_and_closed(event_type: EventType) -> None:
    for name, kind in event_type.open.items():
        check = kind_check(kind)  # raises for a kind outside the grammar
        assert not check("Any Words At All"), name
        assert not check(["Any Words At All"]), name
        assert not check(1.0), name


def test_types_are_those_of_the_catalogue_and_none_is_reserved() -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    own = [one.type for one in CATALOGUE.service_types()]
    known = list(dict.fromkeys(one["type"] for one in golden))
    assert [one.type for one in TYPES] == [name for name in known if name not in own]
    assert own == [
        "wrapping_key.rotated",
        "findings.frozen",
        "erasure.verified",
        "staff.registered",
        "staff_opening.requested",
        "staff_opening.confirmed",
    ]
    assert {"ledger.opened", "schema.registered", "sealed.lost", "stream.expired"} == RESERVED
    assert all(CATALOGUE.get(name) is None for name in RESERVED)
    for one in TYPES:
        assert CATALOGUE.get(one.type) is CATALOGUE.get(one.type, one.schema) is one
    assert CATALOGUE.get("subject.identified", 9999) is None


def test_a_registered_schema_never_changes() -> None:
    """On failure: a schema that a ledger may have registered was changed. Put it back and declare
    the next schema number; only a type that was never released may have its line remade."""
    golden = json.loads(GOLDEN.read_text("utf-8"))
    assert golden == [one.registration() for one in CATALOGUE.registrations()]


def test_the_page_of_event_types_is_current() -> None:
    """On failure: run `python -m ledger.catalogue > docs/event-types.md`."""
    assert (ROOT / "docs" / "event-types.md").read_text("utf-8") == render(
        TYPES, CATALOGUE.service_types()
    )


@EACH
def test_declarations_are_whole(event_type: EventType) -> None:
    assert event_type.family in FAMILIES
    assert event_type.description.endswith(".")
    assert event_type.duty
    assert event_type.fields.keys() == event_type.open.keys() | event_type.sealed.keys()
    assert event_type.fields.keys() == event_type.descriptions.keys()
    assert not event_type.open.keys() & event_type.sealed.keys()
    assert event_type.service_added <= event_type.fields.keys()
    assert (event_type.mark == "log") is (event_type.type in LOGGED)
    assert event_type.requires_role == ROLES.get(event_type.type)
    assert event_type.recipient is (event_type.type in RECIPIENTS)
    assert (event_type.occurred == "instant") is (
        event_type.type
        in (LOGGED - {"record.altered"}) | {"data.disclosed", "erasure.executed", "expiry.ordered"}
    )


@EACH
def test_an_example_is_of_the_hub_that_records_such_events(event_type: EventType) -> None:
    """docs/glossary.md: Project Alpha has no borough."""
    alpha = event_type.family == "content"
    assert event_type.example["hub"] == ("central" if alpha else "E09000023")
    assert (event_type.example["source"] == "alpha-referrals") is alpha


@pytest.mark.parametrize(
    "name",
    [
        "erasure.executed",
        "findings.frozen",
        "erasure.verified",
        "backup.horizon_passed",
        "recipient_erasure.requested",
        "recipient_erasure.confirmed",
        "source_erasure.requested",
        "source_erasure.confirmed",
        "destruction.confirmed",
    ],
)
def test_what_comes_with_or_after_an_erasure_seals_nothing_about_the_person(name: str) -> None:
    erasure = CATALOGUE.get(name)
    assert erasure is not None
    assert set(erasure.sealed.values()) <= {FieldClass.ATTRIBUTION}


def test_every_kind_of_entry_can_be_corrected() -> None:
    """In its own stream: but for that of the ledger, which the service alone writes."""
    correction = CATALOGUE.get("event.corrected")
    assert correction is not None
    assert set(correction.stream_kinds) == entries.STREAM_KINDS - {"ledger"}


def test_an_approver_has_its_flag_and_no_type_but_an_agreement_lacks_it() -> None:
    """An agreement names its approver without one: its schema is registered."""
    for one in TYPES:
        if "approver" in one.fields and one.type != "agreement.registered":
            assert one.sealed["approver"] == FieldClass.ATTRIBUTION
            assert {"approver_is_not_requester", "assessor_is_not_approver"} & one.service_added


def test_what_the_service_alone_records_is_known_to_verifiers_as_such() -> None:
    own = CATALOGUE.service_types()
    assert {one.type for one in own} == SERVICE_ALONE_TYPES
    assert not SERVICE_ALONE_TYPES & {one.type for one in TYPES}
    for one in own:
        # Nothing that an erasure would reach: at most who is accountable.
        assert (set(one.sealed.values()) - {"attribution"}, one.service_added) == (
            set(),
            frozenset(),
        )
        assert one.stream_kinds == ("ledger",) or one.family in ("access", "case")
        assert one.description.endswith(".")
        one.validate(one.example["data"])


@EACH
def test_json_schema_is_2020_12_and_takes_the_example(event_type: EventType) -> None:
    schema = event_type.json_schema
    check_schema(schema)
    assert accepts(schema, event_type.example["data"])
    assert schema["properties"].keys() == event_type.fields.keys() - event_type.service_added
    assert not accepts(schema, {**event_type.example["data"], "zzz": 1})
    digested = orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
    assert entries.load_canonical(digested) == schema


@EACH
def test_the_example_becomes_an_entry_that_matches_the_registration(event_type: EventType) -> None:
    open_fields, sealed = _prepared(event_type)
    registry = Registry()
    registration = {"data": {**event_type.registration(), "_sd": []}}
    registry.learn(registration)
    digests = [f"digest {number}" for number in range(len(sealed))]
    who = open_fields["recipient_category"] if event_type.recipient else "lewisham-council"
    actor = None if event_type.recipient else NOBODY
    registry.check(
        {
            "type": event_type.type,
            "schema": event_type.schema,
            "stream": {"kind": event_type.stream_kinds[0]},
            "occurred_at": "2026-01-05"
            if event_type.occurred == "date"
            else "2026-01-05T00:00:00.000Z",
            "recorded_at": "2026-01-05T00:00:00.000Z",
            "source": who,
            "organisation": who,
            "actor": actor,
            "submitted_by": actor,
            "regime": "uk_gdpr",
            "data": {**open_fields, "_sd": digests},
        }
    )
    assert entries.is_code(who)
    assert entries.load_canonical(entries.canonical(open_fields)) == open_fields
    assert entries.load_canonical(entries.canonical(sealed)) == sealed


def _prepared(event_type: EventType) -> tuple[dict[str, Any], dict[str, Any]]:
    open_fields, sealed = event_type.validate(event_type.example["data"])
    assert event_type.missing_fields(open_fields, sealed) == event_type.service_added
    more_open, more_sealed = event_type.service_fields(NOBODY, {**open_fields, **sealed}, SUPPLIED)
    assert more_open.keys() | more_sealed.keys() == event_type.service_added
    open_fields |= more_open
    sealed |= more_sealed
    assert event_type.missing_fields(open_fields, sealed) == frozenset()
    return open_fields, sealed


@EACH
def test_the_largest_event_that_validates_is_within_the_limit(event_type: EventType) -> None:
    """256 KiB for a whole event, however its writer escapes strings."""
    worst = sum(
        64 + 12 * _longest(event_type, name)
        for name in event_type.fields
        if name not in event_type.service_added
    )
    assert worst + 4_096 <= 256 * 1024


def _longest(event_type: EventType, name: str) -> int:
    shape = event_type.shapes[name]
    if shape.codes is not None:
        one = max(map(len, shape.codes))
    else:
        one = max([mark.longest for mark in shape.forms if isinstance(mark, Text)] or [64])
    bounds = [mark.most for mark in shape.forms if isinstance(mark, Several)]
    return (one + 2) * bounds[0] if bounds else one
