"""Every rule of access, held against a table written out by hand."""

import itertools
import uuid
from dataclasses import dataclass, replace

import pytest

from ledger.access import (
    Credential,
    Operation,
    Owner,
    Role,
    check_erases,
    check_operation,
    check_record,
    may,
    may_open_staff,
    may_read_entry,
    may_read_stream,
    needs_actor,
    sealed_classes,
)
from ledger.errors import Forbidden, OutOfScope
from ledger.submission import Submission
from ledger_verifier.formats.entry import STREAM_KINDS, StreamRef

HERE, THERE = "E09000023", "E09000011"
SUBMITTED_BY = "7b1f0a52-9c3e-4e0c-8a7b-3a4b5c6d7e8f"


@dataclass(frozen=True)
class Kind:
    """An event type, as far as access asks."""

    requires_role: frozenset[str] | None = None


def bound(role: Role, *, machine: bool = False) -> Credential:
    return Credential(
        str(uuid.uuid4()),
        role,
        False,
        "lewisham-council",
        frozenset({HERE}),
        frozenset({"lewisham-cases"}),
        machine,
        None,
    )


def unbound(role: Role) -> Credential:
    return Credential(str(uuid.uuid4()), role, True, None, frozenset(), frozenset(), False, None)


def submission(kind: str = "case", **changes: str) -> Submission:
    values = {"organisation": "lewisham-council", "hub": HERE, "source": "lewisham-cases"}
    values.update(changes)
    return Submission(
        id=str(uuid.uuid4()),
        type="case.closed",
        schema=None,
        stream=StreamRef(kind, str(uuid.uuid4())),
        time="2026-03-02T09:00:00.000Z",
        actor=None,
        regime="uk_gdpr",
        expected_version=None,
        data={},
        **values,
    )


def entry(kind: str, hub: str = HERE, **changes: str) -> dict[str, object]:
    return {
        "stream": {"kind": kind},
        "hub": hub,
        "organisation": "lewisham-council",
        "source": "lewisham-cases",
        "submitted_by": SUBMITTED_BY,
        **changes,
    }


# What each role may read of an entry of its own organisation, hub and source: o; of its hub, from
# another organisation: h; of its hub and organisation, from any source: c; of another hub: a.
# Columns are kinds of stream.
COLUMNS = (
    "case", "party", "content", "access", "restricted",
    "agreement", "assessment", "hub", "oversight", "ledger",
)  # fmt: skip
READS = {
    "submitter":      "o  o  o  -  -  a  a  a  a  a",
    "coordinator":    "h  h  h  -  -  a  a  a  a  a",
    "dpo":            "c  c  c  c  c  a  a  a  a  a",
    "rights_officer": "h  h  -  -  -  -  -  -  -  a",
    "standards":      "-  -  -  h  -  -  -  -  -  a",
    "registrar":      "-  -  -  -  -  a  a  a  a  a",
    "auditor":        "h  h  h  -  -  a  a  a  a  a",
    "inspector":      "h  h  h  h  h  a  a  a  a  a",
    "aggregate":      "-  -  -  -  -  -  -  -  -  -",
    "operator":       "-  -  -  -  -  -  -  -  -  -",
}  # fmt: skip
GOVERNANCE = {"agreement", "assessment", "hub", "oversight"}
RECORDS = {
    "submitter": STREAM_KINDS - {"ledger"},
    "coordinator": STREAM_KINDS - {"ledger"},
    "dpo": STREAM_KINDS - {"ledger"},
    "registrar": GOVERNANCE,
}
OPENS = {
    "coordinator": {"coded", "personal", "attribution"},
    "dpo": {"coded", "personal", "attribution"},
    "rights_officer": {"coded", "personal", "attribution"},
    "inspector": {"coded", "personal", "attribution"},
    "auditor": {"attribution"},
    "standards": {"attribution"},
}
CASES = {"coordinator", "dpo", "rights_officer", "inspector", "auditor"}


def test_the_tables_cover_every_role_and_kind() -> None:
    assert set(READS) == {role.value for role in Role}
    assert set(COLUMNS) == STREAM_KINDS


@pytest.mark.parametrize(("role", "kind"), list(itertools.product(Role, sorted(STREAM_KINDS))))
def test_reading_an_entry(role: Role, kind: str) -> None:
    reach = READS[role.value].split()[COLUMNS.index(kind)]
    reader = bound(role)
    assert may_read_entry(reader, entry(kind)) is (reach in "ohca")
    assert may_read_entry(reader, entry(kind, organisation="met-police")) is (reach in "ha")
    assert may_read_entry(reader, entry(kind, source="alpha")) is (reach in "hca")
    assert may_read_entry(reader, entry(kind, THERE)) is (reach == "a")
    assert may_read_entry(unbound(role), entry(kind, THERE, organisation="other")) is (reach != "-")


@pytest.mark.parametrize("role", list(Role))
def test_the_hub_of_the_stream_stands_over_that_of_the_entry(role: Role) -> None:
    reach = READS[role.value].split()[COLUMNS.index("access")]
    written_by_the_service = entry("access", "central")
    assert not may_read_entry(bound(role), written_by_the_service)
    ours, theirs = Owner(HERE, "lewisham-council"), Owner(THERE, "lewisham-council")
    assert may_read_entry(bound(role), written_by_the_service, ours) is (reach in "hc")
    assert not may_read_entry(bound(role), entry("access"), theirs)
    others = Owner(HERE, "met-police")
    assert may_read_entry(bound(role), written_by_the_service, others) is (reach == "h")


@pytest.mark.parametrize(("role", "kind"), list(itertools.product(Role, ["access", "restricted"])))
def test_a_recording_token_without_bounds_reads_back_what_it_submitted(
    role: Role, kind: str
) -> None:
    mine = unbound(role)
    reads = READS[role.value].split()[COLUMNS.index(kind)] in "hc"
    own = entry(kind, submitted_by=mine.public_id)
    assert may_read_entry(mine, own) is (reads or role.value in RECORDS)
    assert may_read_entry(mine, entry(kind)) is reads
    with_bounds = bound(role)
    assert may_read_entry(with_bounds, entry(kind, submitted_by=with_bounds.public_id)) is reads
    if not reads:
        assert not sealed_classes(mine, own)


@pytest.mark.parametrize(("role", "kind"), list(itertools.product(Role, sorted(STREAM_KINDS))))
def test_opening_sealed_fields(role: Role, kind: str) -> None:
    readable = READS[role.value].split()[COLUMNS.index(kind)] != "-"
    expected = OPENS.get(role.value, set()) if readable else set()
    assert set(sealed_classes(bound(role), entry(kind))) == expected
    if kind in ("case", "access", "restricted", "content", "party"):
        assert not sealed_classes(bound(role), entry(kind, THERE))


def test_a_submitter_never_opens_anything() -> None:
    for kind, maker in itertools.product(STREAM_KINDS, (bound, unbound)):
        assert not sealed_classes(maker(Role.SUBMITTER), entry(kind))


@pytest.mark.parametrize(("role", "kind"), list(itertools.product(Role, sorted(STREAM_KINDS))))
def test_recording(role: Role, kind: str) -> None:
    for maker in (bound, unbound):
        if kind in RECORDS.get(role.value, set()):
            check_record(maker(role), submission(kind), Kind())
        else:
            with pytest.raises(Forbidden):
                check_record(maker(role), submission(kind), Kind())


@pytest.mark.parametrize("role", list(Role))
def test_an_erasure_needs_the_data_protection_officer(role: Role) -> None:
    erasure = Kind(frozenset({"dpo"}))
    if role is Role.DPO:
        check_record(bound(role), submission(), erasure)
    else:
        with pytest.raises(Forbidden):
            check_record(bound(role), submission(), erasure)
    if role.value in RECORDS and role is not Role.REGISTRAR:
        check_record(unbound(role), submission(), erasure)
    else:
        with pytest.raises(Forbidden):
            check_record(unbound(role), submission(), erasure)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_out_of_scope_names_each_member_that_is_out(count: int) -> None:
    other = {"organisation": "other-council", "hub": THERE, "source": "other-cases"}
    for names in itertools.combinations(other, count):
        sent = submission(**{name: other[name] for name in names})
        with pytest.raises(OutOfScope) as caught:
            check_record(bound(Role.SUBMITTER), sent, Kind())
        assert {item.pointer for item in caught.value.fields} == {f"/{name}" for name in names}
        shown = f"{caught.value.detail}{caught.value.fields}"
        assert not any(other[name] in shown for name in names)
        check_record(unbound(Role.SUBMITTER), sent, Kind())


@pytest.mark.parametrize("role", list(Role))
def test_operations(role: Role) -> None:
    allowed = {
        Operation.RECORD: role.value in RECORDS,
        Operation.READ_ENTRIES: "a" in READS[role.value],
        Operation.OPEN_SEALED: role.value in OPENS,
        Operation.READ_CASES: role.value in CASES,
        Operation.READ_STREAMS: role.value in CASES | {"standards"},
        Operation.READ_BUNDLES: False,
        Operation.SEE_DUE: role in (Role.DPO, Role.INSPECTOR),
        Operation.SEE_FINDINGS: role in (Role.DPO, Role.REGISTRAR, Role.AUDITOR, Role.INSPECTOR),
        Operation.CERTIFY: role in (Role.DPO, Role.RIGHTS_OFFICER),
        Operation.REGISTER_STAFF: role.value in RECORDS,
        Operation.OPEN_STAFF: role in (Role.STANDARDS, Role.INSPECTOR),
    }
    assert {operation: may(bound(role), operation) for operation in Operation} == allowed
    bundles = role in (Role.AUDITOR, Role.INSPECTOR)
    assert {operation: may(unbound(role), operation) for operation in Operation} == {
        **allowed,
        Operation.READ_BUNDLES: bundles,
    }
    assert may(bound(role, machine=True), Operation.OPEN_STAFF) is False
    for operation in Operation:
        if not may(bound(role), operation):
            with pytest.raises(Forbidden):
                check_operation(bound(role), operation)


@pytest.mark.parametrize("role", list(Role))
def test_whose_staff_references_may_be_asked_about(role: Role) -> None:
    opens = role in (Role.STANDARDS, Role.INSPECTOR)
    assert may_open_staff(bound(role), "lewisham-council") is opens
    assert not may_open_staff(bound(role), "other-council")
    assert may_open_staff(unbound(role), "other-council") is opens
    assert not may_open_staff(replace(unbound(role), machine=True), "other-council")


@pytest.mark.parametrize("role", list(Role))
def test_whole_streams(role: Role) -> None:
    here, there = Owner(HERE, "lewisham-council"), Owner(THERE, "lewisham-council")
    # A data protection officer is of one controller; a hub has several.
    others = Owner(HERE, "met-police")
    for kind, reach in zip(COLUMNS, READS[role.value].split(), strict=True):
        whole = reach in ("h", "c", "a")
        assert may_read_stream(bound(role), kind, here) is whole
        assert may_read_stream(bound(role), kind, there) is (reach == "a")
        assert may_read_stream(unbound(role), kind, there) is whole
        assert may_read_stream(bound(role), kind, others) is (reach in ("h", "a"))
    assert may_read_stream(bound(role), "case", here) is (role.value in CASES)


def test_only_its_own_controller_erases_a_stream() -> None:
    check_erases(bound(Role.DPO), Owner(HERE, "lewisham-council"))
    check_erases(unbound(Role.DPO), Owner(HERE, "met-police"))
    with pytest.raises(Forbidden):
        check_erases(bound(Role.DPO), Owner(HERE, "met-police"))


def test_a_person_is_named_unless_the_token_is_a_machines() -> None:
    assert needs_actor(bound(Role.AUDITOR))
    assert not needs_actor(bound(Role.COORDINATOR, machine=True))
