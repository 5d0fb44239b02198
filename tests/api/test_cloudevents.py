"""CloudEvents: what a sender with the SDK makes is read as meant, in every mode; what is malformed
is refused with every fault named at once and nothing repeated."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from pydantic import Field

from api.cloudevents import Mode, Parser, Request, mode_of
from api.problems import UnsupportedMediaType
from ledger.access import Credential
from ledger.catalogue import CATALOGUE, Catalogue, describe
from ledger.catalogue.case import CaseClosed
from ledger.catalogue.fields import Flag, Open
from ledger.errors import Invalid, ReservedType, TooLarge
from ledger_verifier.formats.entry import StreamRef
from tests.api.events import ACTOR, HUB, NOW, OTHER_HUB, SECRET, credential, example

STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
PLAIN = {"content-type": "application/json"}
TYPES = [item.type for item in CATALOGUE.types()]


def read(
    headers: Mapping[str, str],
    body: bytes,
    holder: Credential | None = None,
    *,
    whole: bool = False,
) -> Request:
    pairs = list(headers.items())
    parser = Parser(CATALOGUE, lambda: NOW)
    return parser.parse(mode_of(pairs), pairs, body, holder or credential(), whole=whole)


def read_one(event: Any, holder: Credential | None = None) -> Request:
    return read(STRUCTURED, orjson.dumps(event), holder)


def faults(event: Any, holder: Credential | None = None) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        read_one(event, holder)
    pointers = [item.pointer for item in caught.value.fields]
    assert len(set(pointers)) == len(pointers)
    return {item.pointer: item.reason for item in caught.value.fields}


def of_sdk(event: Mapping[str, Any]) -> CloudEvent:
    attributes = {name: value for name, value in event.items() if name != "data"}
    attributes["time"] = datetime.fromisoformat(attributes["time"])
    return CloudEvent(attributes, event["data"])


@pytest.mark.parametrize("type_name", TYPES)
def test_every_mode_says_the_same(type_name: str) -> None:
    event = example(type_name)
    everything = credential(all=True)
    expected = read_one(event, everything)
    structured = to_structured_event(of_sdk(event))
    binary = to_binary_event(of_sdk(event))
    assert structured.headers == STRUCTURED
    assert read(structured.headers, structured.body, everything) == expected
    assert read(binary.headers, binary.body, everything) == expected
    assert read(PLAIN, orjson.dumps(event), everything) == expected
    for headers in (BATCH, PLAIN):
        batch = read(headers, orjson.dumps([event]), everything)
        assert batch.batch
        assert not expected.batch
        assert batch.submissions == expected.submissions


def test_the_mapping() -> None:
    event = example(
        time="2026-07-02T00:30:00.1239+01:00", expectedversion=3, schemaversion=1, hub=HUB
    )
    (submission,) = read_one(event).submissions
    assert submission.id == event["id"]
    assert submission.source == "lewisham-cases"
    assert submission.type == "case.closed"
    assert submission.schema == 1
    assert submission.stream == StreamRef.parse(event["subject"])
    assert submission.time == "2026-07-01T23:30:00.123Z"
    assert submission.hub == HUB
    assert submission.organisation == "lewisham-council"
    assert submission.actor == ACTOR
    assert submission.regime == event["regime"]
    assert submission.expected_version == 3
    assert submission.data == event["data"]


def test_defaults_come_from_the_token() -> None:
    event = example(hub=None, organisation=None, schemaversion=None, datacontenttype=None)
    (submission,) = read_one(event).submissions
    assert submission.hub == HUB
    assert submission.organisation == "lewisham-council"
    assert submission.schema is None
    assert submission.expected_version is None
    two_hubs = credential(hubs=frozenset({HUB, OTHER_HUB}))
    assert faults(event, two_hubs).keys() == {"/hub"}
    assert faults(event, credential(all=True)).keys() == {"/hub", "/organisation"}


def test_unset_attributes_may_be_null() -> None:
    event = example(expectedversion=None)
    event.update(expectedversion=None, dataschema=None, data_base64=None, anything=None)
    assert read_one(event) == read_one(example())


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time", "regime", "data"])
def test_what_is_required(name: str) -> None:
    event = example()
    del event[name]
    assert faults(event)[f"/{name}"].startswith("is required")
    assert faults(example(specversion=None)).keys() == {"/specversion"}


def test_the_actor_is_required_save_from_recipients() -> None:
    assert faults(example(actor=None)).keys() == {"/actor"}
    recipient = next(item.type for item in CATALOGUE.types() if item.recipient)
    (submission,) = read_one(example(recipient, actor=None)).submissions
    assert submission.actor is None
    assert faults(example(recipient, actor="nobody")).keys() == {"/actor"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", 1.0),
        ("id", "A1B2C3D4-0000-4000-8000-000000000000"),
        ("id", "00000000-0000-1000-8000-000000000000"),
        ("id", "1"),
        ("id", 1),
        ("source", "https://example.org/cases"),
        ("source", "x"),
        ("source", "Lewisham"),
        ("source", "hub-ledger"),
        ("source", "a" * 41),
        ("organisation", "hub-ledger"),
        ("organisation", ""),
        ("organisation", ["lewisham-council"]),
        ("type", "person.suspected"),
        ("type", "Case.Closed"),
        ("type", {}),
        ("subject", "case"),
        ("subject", "case/1"),
        ("subject", "person/11111111-1111-4111-8111-111111111111"),
        ("subject", "content/11111111-1111-4111-8111-111111111111"),
        ("subject", "case/11111111-1111-4111-8111-111111111111/x"),
        ("subject", 7),
        ("time", "2026-03-02"),
        ("time", "2030-01-01T00:05:00.001Z"),
        ("time", 1772442000),
        ("hub", "E0900002"),
        ("hub", "Lewisham"),
        ("actor", "PC 1234"),
        ("actor", "11111111-1111-1111-8111-111111111111"),
        ("regime", "gdpr"),
        ("regime", ["uk_gdpr"]),
        ("expectedversion", -1),
        ("expectedversion", 2**31),
        ("expectedversion", True),
        ("expectedversion", "01"),
        ("expectedversion", "1.0"),
        ("expectedversion", 1.0),
        ("schemaversion", 0),
        ("schemaversion", 2),
        ("datacontenttype", "text/plain"),
        ("datacontenttype", "application/json; charset=latin-1"),
        ("data", []),
        ("data", "text"),
        ("data", 1),
        ("data_base64", "e30="),
        ("dataschema", "https://example.org/schema"),
        ("traceparent", "00-x"),
        ("sequence", "1"),
    ],
)
def test_one_bad_member(name: str, value: Any) -> None:
    assert faults({**example(), name: value}).keys() == {f"/{name}"}


def test_five_minutes_ahead_is_not_too_far() -> None:
    assert read_one(example(time="2030-01-01T00:05:00Z")).submissions


def test_every_fault_is_named_at_once_with_those_of_the_data() -> None:
    data = dict(example()["data"])
    first, second = list(data)[:2]
    data[first] = 1.5
    del data[second]
    event = {
        **example(id=SECRET, time=SECRET, hub=SECRET, regime=SECRET, extra=SECRET),
        "data": data,
    }
    found = faults(event)
    assert found.keys() >= {"/id", "/time", "/hub", "/regime", "/extra", f"/data/{first}"}
    assert "below 2^53" in found[f"/data/{first}"]
    assert SECRET not in str(found)


def test_faults_of_the_data_alone_are_for_the_ledger_to_name_unless_asked() -> None:
    events = [example(data={}), example(), example(data={SECRET: SECRET})]
    assert len(read(BATCH, orjson.dumps(events)).submissions) == 3
    with pytest.raises(Invalid) as caught:
        read(BATCH, orjson.dumps(events), whole=True)
    indexes = {item.pointer.split("/")[1] for item in caught.value.fields}
    assert indexes == {"0", "2"}
    assert all(item.pointer.split("/")[2] == "data" for item in caught.value.fields)


def test_data_that_was_good_under_an_older_schema_may_be_a_retry() -> None:
    older = CATALOGUE.get("case.closed", None)
    assert older is not None

    class Newer(CaseClosed):
        about = dataclasses.replace(CaseClosed.about, schema=2)
        added_since: Open[Flag] = Field(description="A field that schema 1 lacks.")

    catalogue = Catalogue([older, describe(Newer)])

    def whole(event: Any) -> Request:
        pairs = list(STRUCTURED.items())
        parser = Parser(catalogue, lambda: NOW)
        body = orjson.dumps(event)
        return parser.parse(Mode.STRUCTURED, pairs, body, credential(), whole=True)

    event = example(schemaversion=None)
    assert whole(event).submissions[0].schema is None
    assert whole({**event, "schemaversion": 1}).submissions[0].schema == 1
    with pytest.raises(Invalid) as caught:
        whole({**event, "schemaversion": 2})
    assert [item.pointer for item in caught.value.fields] == ["/data/added_since"]
    with pytest.raises(Invalid) as caught:
        whole({**event, "data": {}})
    assert "/data/added_since" in {item.pointer for item in caught.value.fields}


def test_faults_of_a_batch_are_under_the_index_of_their_event() -> None:
    events = [example(), example(id="1"), 7, example(data={SECRET: SECRET})]
    with pytest.raises(Invalid) as caught:
        read(BATCH, orjson.dumps(events))
    pointers = {item.pointer for item in caught.value.fields}
    assert {"/1/id", "/2"} <= pointers
    assert not any(pointer.startswith("/0") for pointer in pointers)
    assert any(pointer.startswith("/3/data") for pointer in pointers)
    assert SECRET not in f"{caught.value.detail}{caught.value.fields}"


def test_an_empty_batch_asks_for_nothing() -> None:
    assert read(BATCH, b"[]") == Request((), batch=True)


@pytest.mark.parametrize("body", [b"{}", b"7", b'"x"', b"null"])
def test_a_batch_is_an_array(body: bytes) -> None:
    with pytest.raises(Invalid):
        read(BATCH, body)


@pytest.mark.parametrize("body", [b"[]", b"7", b'"x"', b"null"])
def test_an_event_is_an_object(body: bytes) -> None:
    with pytest.raises(Invalid):
        read(STRUCTURED, body)


def test_a_batch_has_a_thousand_events_at_most() -> None:
    event = orjson.dumps(example())
    assert len(read(BATCH, b"[" + b",".join([event] * 1000) + b"]").submissions) == 1000
    with pytest.raises(TooLarge):
        read(BATCH, b"[" + b",".join([event] * 1001) + b"]")


def test_one_event_of_a_batch_is_no_larger_than_one_alone() -> None:
    big = example(data={"note": "x" * (256 * 1024)})
    with pytest.raises(TooLarge) as caught:
        read(BATCH, orjson.dumps([example(), big]))
    assert [item.pointer for item in caught.value.fields] == ["/1"]


@pytest.mark.parametrize(
    "type_name", ["ledger.opened", "schema.registered", "wrapping_key.rotated"]
)
def test_the_services_own_types_are_refused_as_such(type_name: str) -> None:
    subject = "ledger/11111111-1111-4111-8111-111111111111"
    with pytest.raises(ReservedType) as caught:
        read_one(example(type=type_name, subject=subject, time="bad"))
    assert [item.pointer for item in caught.value.fields] == ["/type"]
    with pytest.raises(ReservedType) as caught:
        read(BATCH, orjson.dumps([example(), example(type=type_name)]))
    assert [item.pointer for item in caught.value.fields] == ["/1/type"]


class TestBinary:
    """Attributes in headers."""

    def headers(self, **changes: str | None) -> dict[str, str]:
        message = to_binary_event(of_sdk(example()))
        values: dict[str, str | None] = {**message.headers, **changes}
        return {name: value for name, value in values.items() if value is not None}

    def body(self) -> bytes:
        return orjson.dumps(example()["data"])

    def faults(self, headers: Mapping[str, str]) -> set[str]:
        with pytest.raises(Invalid) as caught:
            read(headers, self.body())
        return {item.pointer for item in caught.value.fields}

    def test_integers_are_decimal(self) -> None:
        headers = self.headers(**{"ce-expectedversion": "12"})
        assert read(headers, self.body()).submissions[0].expected_version == 12
        assert self.faults({**headers, "ce-expectedversion": "twelve"}) == {"/expectedversion"}

    def test_names_are_in_any_case(self) -> None:
        upper = {name.upper(): value for name, value in self.headers().items()}
        assert read(upper, self.body()) == read(self.headers(), self.body())

    def test_values_are_percent_decoded_once(self) -> None:
        encoded = "".join(f"%{byte:02x}" for byte in b"lewisham-cases")
        assert read(self.headers(**{"ce-source": encoded}), self.body()).submissions
        twice = encoded.replace("%", "%25")
        assert self.faults(self.headers(**{"ce-source": twice})) == {"/source"}

    def test_values_may_be_quoted(self) -> None:
        assert read(self.headers(**{"ce-source": '"lewisham\\-cases"'}), self.body()).submissions

    @pytest.mark.parametrize("value", ["%", "%4", "%zz", "%ff", "é", "%ed%a0%80", ""])
    def test_values_that_are_not_encoded_text(self, value: str) -> None:
        assert self.faults(self.headers(**{"ce-source": value})) == {"/source"}

    @pytest.mark.parametrize("name", ["datacontenttype", "data", "data_base64", "traceparent"])
    def test_attributes_that_are_no_headers(self, name: str) -> None:
        assert self.faults(self.headers(**{f"ce-{name}": "x"})) == {f"/{name}"}

    def test_a_header_given_twice(self) -> None:
        pairs = [*self.headers().items(), ("CE-Source", "lewisham-cases")]
        with pytest.raises(Invalid) as caught:
            Parser(CATALOGUE, lambda: NOW).parse(Mode.BINARY, pairs, self.body(), credential())
        assert {item.pointer for item in caught.value.fields} == {"/source"}

    def test_every_fault_at_once(self) -> None:
        headers = self.headers(**{"ce-id": "1", "ce-time": "%", "ce-hub": "x", "ce-type": None})
        assert self.faults(headers) == {"/id", "/time", "/hub", "/type"}

    def test_the_data_is_an_object(self) -> None:
        with pytest.raises(Invalid) as caught:
            read(self.headers(), b"[]")
        assert {item.pointer for item in caught.value.fields} == {"/data"}


@pytest.mark.parametrize(
    ("content_type", "mode"),
    [
        ("application/cloudevents+json", Mode.STRUCTURED),
        ("Application/CloudEvents+JSON; charset=UTF-8", Mode.STRUCTURED),
        ("application/cloudevents-batch+json", Mode.BATCH),
        ('application/json; charset="utf-8"', Mode.JSON),
        ("application/cloudevents+xml", None),
        ("application/cloudevents", None),
        ("application/cloudevents+json; charset=utf-16", None),
        ("text/json", None),
        ("text/plain", None),
        ("application/x-www-form-urlencoded", None),
        ("multipart/form-data; boundary=x", None),
        ("", None),
        ("application", None),
        (";", None),
    ],
)
def test_media_types(content_type: str, mode: Mode | None) -> None:
    pairs = [("Content-Type", content_type)]
    if mode is None:
        with pytest.raises(UnsupportedMediaType):
            mode_of(pairs)
    else:
        assert mode_of(pairs) is mode
    with pytest.raises(UnsupportedMediaType):
        mode_of(pairs + pairs)
    with pytest.raises(UnsupportedMediaType):
        mode_of([])


def test_structured_mode_reads_no_headers() -> None:
    headers = {**STRUCTURED, "ce-type": "person.suspected", "ce-source": "elsewhere"}
    assert read(headers, orjson.dumps(example())) == read_one(example())
