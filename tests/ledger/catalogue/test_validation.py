"""Validation: everything malformed is refused, every bad field named, and no value repeated."""

import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.catalogue import CATALOGUE, EventType
from ledger.catalogue.errors import MAX_REPORTED
from ledger.catalogue.fields import Form, Shape, Text
from ledger.catalogue.sharing import band_of
from ledger.errors import FieldError, Invalid
from ledger_verifier.formats import entry as entries
from tests.ledger.catalogue.json_schema import accepts

TYPES: Final = CATALOGUE.types()
EACH: Final = pytest.mark.parametrize("event_type", TYPES, ids=lambda one: one.type)
QUICK: Final = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
#: Optional fields that are held against another field of the same event.
CROSS_CHECKED: Final = frozenset(
    {"subject_count", "document_sha256", "decision_series", "decision_number"}
    | {f"{kind}_days" for kind in ("case", "party", "restricted", "access", "content")}
)
CANARY: Final = "Zebedee Quux of 7 Canary Row"


def _type(name: str) -> EventType:
    found = CATALOGUE.get(name)
    assert found is not None
    return found


IDENTIFIED: Final = _type("subject.identified")


def _errors(event_type: EventType, data: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as raised:
        event_type.validate(data)
    assert raised.value.slug == "invalid-event"
    return {error.pointer: error.reason for error in raised.value.fields}


def _with(event_type: EventType, **changes: Any) -> dict[str, Any]:
    return {**event_type.example["data"], **changes}


def test_every_bad_field_is_named_with_what_to_do() -> None:
    data = _with(
        IDENTIFIED,
        purpose=CANARY,
        criteria_version=56.0,
        review_period_months=True,
        review_due="2026-02-30",
        dpia_ref="019BB1C1-6440-7E1E-BC4D-EF71F41FCB28",
        authority_ref="6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        referral_source_organisation=CANARY,
        subject_category=["victim", CANARY],
        sensitive_processing=1,
        name=CANARY + "\x07",
        reasons="",
        address=["1 Example Street"],
        intelligence_grade="1e9",
        nickname=CANARY,
    )
    del data["age_band"]
    uuid = "must be a lower-case UUID of version 4 or 7"
    integer = "must be an integer, written without a fraction or exponent"
    assert _errors(IDENTIFIED, data) == {
        "/data/address": "must be a string",
        "/data/age_band": "is required",
        "/data/authority_ref": uuid,
        "/data/criteria_version": integer,
        "/data/dpia_ref": uuid,
        "/data/intelligence_grade": (
            "must be a 3x5x2 grade: a digit 1 to 3, a letter a to e, then p or c"
        ),
        "/data/name": "must not hold control characters, other than line feed and tab",
        "/data/nickname": "is not a field of this type",
        "/data/purpose": "must be one of: support, safeguarding, enforcement, statutory",
        "/data/reasons": "must not be empty: leave the field out instead",
        "/data/referral_source_organisation": (
            "must be an organisation code of 2 to 40 lower-case letters, digits and hyphens"
        ),
        "/data/review_due": "must be a calendar date written YYYY-MM-DD",
        "/data/review_period_months": integer,
        "/data/sensitive_processing": "must be true or false",
        "/data/subject_category/1": (
            "must be one of: suspect, convicted, victim, witness, at-risk, contact, unknown"
        ),
    }


@pytest.mark.parametrize("data", [None, [], "text", 1, True, 1.5])
def test_data_that_is_no_object(data: Any) -> None:
    assert _errors(IDENTIFIED, data) == {"/data": "must be a JSON object"}


def test_a_member_name_that_may_be_personal_is_not_repeated() -> None:
    errors = _errors(IDENTIFIED, _with(IDENTIFIED, **{CANARY: 1}))
    assert errors == {"/data": "has a member that is not a field of this type"}


@EACH
def test_fields_of_the_service_are_refused_from_clients(event_type: EventType) -> None:
    for name in event_type.service_added:
        errors = _errors(event_type, _with(event_type, **{name: True}))
        assert errors == {f"/data/{name}": "is filled in by the ledger: leave it out"}


@EACH
def test_optional_fields_may_be_absent_or_null(event_type: EventType) -> None:
    required = set(event_type.json_schema["required"])
    least = {name: event_type.example["data"][name] for name in required}
    absent = event_type.validate(least)
    nulls = {
        name: None
        for name in event_type.fields
        if name not in required and name not in event_type.service_added
    }
    assert event_type.validate({**least, **nulls}) == absent
    open_fields, sealed = absent
    assert all(({**open_fields, **sealed})[name] is None for name in nulls)


@EACH
@pytest.mark.parametrize("wrong", [1.0, 56.0, -1, 2**53, 10**400, "56", True])
def test_numbers_are_whole_and_bounded(event_type: EventType, wrong: Any) -> None:
    for name, shape in event_type.shapes.items():
        if shape.base is int and name not in event_type.service_added:
            assert f"/data/{name}" in _errors(event_type, _with(event_type, **{name: wrong}))


@EACH
def test_a_float_is_refused_in_every_field(event_type: EventType) -> None:
    names = event_type.fields.keys() - event_type.service_added
    for value in (1.0, [1.0], {"a": 1.0}, float("nan")):
        errors = _errors(event_type, dict.fromkeys(names, value))
        assert {pointer.split("/")[2] for pointer in errors} == names


def test_texts_are_normalised_and_keep_line_feeds_and_tabs() -> None:
    _, sealed = IDENTIFIED.validate(_with(IDENTIFIED, reasons="Cafe\u0301\n\tok", name="\u212b"))
    assert sealed["reasons"] == "Caf\u00e9\n\tok"
    assert sealed["name"] == "\u00c5"


@pytest.mark.parametrize("control", ["\r", "\x00", "\x0b", "\x1b", "\x7f", "\x85", "\x9f"])
def test_other_control_characters_are_refused(control: str) -> None:
    assert "/data/reasons" in _errors(IDENTIFIED, _with(IDENTIFIED, reasons=f"a{control}b"))


def test_text_is_measured_after_normalisation() -> None:
    longest = IDENTIFIED.validate(_with(IDENTIFIED, name="e\u0301" * 200))[1]["name"]
    assert longest == "\u00e9" * 200
    expanding = "\u0958" * 101  # two characters each in NFC
    errors = _errors(IDENTIFIED, _with(IDENTIFIED, name=expanding))
    assert errors == {"/data/name": "must be at most 200 characters long"}


def test_half_of_a_surrogate_pair_is_refused() -> None:
    errors = _errors(IDENTIFIED, _with(IDENTIFIED, reasons="\ud800", purpose="\ud800"))
    assert errors.keys() == {"/data/reasons", "/data/purpose"}


def test_lists_are_bounded_before_their_items_are_read() -> None:
    errors = _errors(IDENTIFIED, _with(IDENTIFIED, subject_category=[CANARY] * 10_000))
    assert errors == {"/data/subject_category": "must hold at most 7 items"}
    errors = _errors(IDENTIFIED, _with(IDENTIFIED, subject_category=[]))
    assert errors == {"/data/subject_category": "must hold at least 1 items"}
    errors = _errors(IDENTIFIED, _with(IDENTIFIED, subject_category=["victim", "victim"]))
    assert errors == {"/data/subject_category": "must not hold an item twice"}


def test_a_problem_names_a_bounded_number_of_fields() -> None:
    data = _with(IDENTIFIED, **{f"extra_{number}": 1 for number in range(5_000)})
    assert len(_errors(IDENTIFIED, data)) == MAX_REPORTED


@pytest.mark.parametrize(
    "name", ["agreement.registered", "assessment.approved", "authority.registered"]
)
def test_an_unpublished_document_has_no_open_digest(name: str) -> None:
    document = _type(name)
    hidden = _with(document, document_sha256="ab" * 32, published=False)
    assert _errors(document, hidden).keys() == {"/data/document_sha256"}
    open_fields, _ = document.validate({**hidden, "published": True})
    assert open_fields["document_sha256"] == "ab" * 32


def test_a_decision_is_named_by_series_and_number_or_by_neither() -> None:
    authority = _type("authority.registered")
    authority.validate(_with(authority, decision_series=None, decision_number=None))
    for missing in ("decision_series", "decision_number"):
        data = _with(authority, **{missing: None})
        assert _errors(authority, data).keys() == {f"/data/{missing}"}


@pytest.mark.parametrize(
    ("count", "band"),
    [(1, "1"), (2, "2-19"), (19, "2-19"), (20, "20-or-more"), (203, "20-or-more")],
)
def test_the_band_is_that_of_the_sealed_number(count: int, band: str) -> None:
    disclosed = _type("data.disclosed")
    disclosed.validate(_with(disclosed, subject_count=count, subject_count_band=band))
    assert band_of(count) == band
    wrong = "1" if band != "1" else "2-19"
    data = _with(disclosed, subject_count=count, subject_count_band=wrong)
    assert _errors(disclosed, data).keys() == {"/data/subject_count_band"}


def test_a_share_about_nobody_is_malformed() -> None:
    disclosed = _type("data.disclosed")
    assert _errors(disclosed, _with(disclosed, subject_count=0)).keys() == {"/data/subject_count"}


def test_whether_the_approver_is_another_person_is_derived() -> None:
    for approved in (_type("notification.withheld"), _type("assessment.approved")):
        approver, other = approved.example["data"]["approver"], approved.example["actor"]
        for sent, actor, expected in (
            (approver, other, True),
            (approver, approver, False),
            (None, other, None),
            (approver, None, None),
        ):
            open_fields, sealed = approved.validate(_with(approved, approver=sent))
            added = approved.service_fields(actor, {**open_fields, **sealed}, {})
            assert added == ({"approver_is_not_requester": expected}, {})
    referred = _type("content.referred")
    open_fields, sealed = referred.validate(_with(referred, assessor=approver, approver=approver))
    added = referred.service_fields(other, {**open_fields, **sealed}, {})
    assert added == ({"assessor_is_not_approver": False}, {})


def test_context_that_a_type_does_not_declare_is_passed_over_and_a_bad_one_is_our_fault() -> None:
    erasure = _type("erasure.executed")
    open_fields, sealed = erasure.validate(erasure.example["data"])
    submitted = {**open_fields, **sealed}
    key = "00000000-0000-4000-8000-000000000000"
    assert erasure.service_fields(None, submitted, {"true_source": "x1"}) == ({}, {})
    assert erasure.missing_fields(open_fields, sealed) == {"key_ids", "through", "versions"}
    added = erasure.service_fields(None, submitted, {"key_ids": [key], "through": 3})
    assert added == ({"key_ids": [key], "through": 3}, {})
    with pytest.raises(ValueError, match="through was supplied malformed") as raised:
        erasure.service_fields(None, submitted, {"key_ids": [], "through": CANARY})
    assert CANARY not in str(raised.value)


# Generated data, valid and not.

_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40)
_FORMS: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "uuid": st.uuids(version=4).map(str),
    "date": st.dates().map(str),
    "sha256": st.binary(min_size=32, max_size=32).map(bytes.hex),
    "organisation": st.from_regex(r"[a-z0-9-]{2,40}", fullmatch=True),
    "field_name": st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    "language": st.from_regex(r"[a-z]{2,3}", fullmatch=True),
    "grade": st.from_regex(r"[1-3][a-e][pc]", fullmatch=True),
}


def _one(shape: Shape) -> st.SearchStrategy[Any]:
    if shape.codes is not None:
        return st.sampled_from(shape.codes)
    if shape.base is bool:
        return st.booleans()
    if shape.base is int:
        return st.integers(0, entries.MAX_INTEGER)
    for form in shape.forms:
        if isinstance(form, Form):
            return _FORMS[form.name]
        if isinstance(form, Text):
            return _WORDS
    raise AssertionError("no strategy for this shape")


def _values(shape: Shape) -> st.SearchStrategy[Any]:
    value = _one(shape)
    if shape.is_list:
        value = st.lists(value, min_size=1, max_size=4, unique=True)
    return st.none() | value if shape.nullable else value


def _data(event_type: EventType) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            name: _values(shape)
            for name, shape in event_type.shapes.items()
            if name not in event_type.service_added
        }
    )


@QUICK
@given(st.sampled_from(TYPES).flatmap(lambda one: st.tuples(st.just(one), _data(one))))
def test_what_is_accepted_is_canonical_whole_and_in_the_json_schema(
    drawn: tuple[EventType, dict[str, Any]],
) -> None:
    event_type, data = drawn
    assert accepts(event_type.json_schema, data)
    # Checks across fields are stricter than the schema: what they look at is left out here.
    data = {n: v for n, v in data.items() if n not in CROSS_CHECKED}
    if "erased_events" in event_type.fields:
        data = {**data, "scope": "stream", "erased_events": None}
    open_fields, sealed = event_type.validate(data)
    for part in (open_fields, sealed):
        assert entries.load_canonical(entries.canonical(part)) == part
    both = {**open_fields, **sealed}
    assert both.keys() == event_type.fields.keys() - event_type.service_added
    for name, value in data.items():
        same = unicodedata.normalize("NFC", value) if isinstance(value, str) else value
        assert both[name] == same
    assert event_type.validate(both) == (open_fields, sealed)


@contextmanager
def _judged() -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        _judge(error)
        raise


def _judge(error: Invalid) -> None:
    assert error.fields
    assert error.__cause__ is None
    assert "zebedee" not in repr((str(error), error.detail, error.fields, error.extra)).lower()
    assert all(isinstance(field, FieldError) for field in error.fields)
    assert all(field.pointer.startswith("/data") for field in error.fields)


_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([CANARY, CANARY.lower(), "", "1", "support"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just(CANARY), inner),
    max_leaves=4,
)


@QUICK
@given(
    st.sampled_from(TYPES).flatmap(
        lambda one: st.tuples(
            st.just(one), st.dictionaries(st.sampled_from([*one.fields, CANARY, "zz"]), _JUNK)
        )
    )
)
def test_no_error_holds_a_submitted_value(drawn: tuple[EventType, dict[str, Any]]) -> None:
    event_type, changes = drawn
    with suppress(Invalid), _judged():
        event_type.validate(_with(event_type, **changes))
