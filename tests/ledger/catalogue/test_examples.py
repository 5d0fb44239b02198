"""The examples of the types: complete events of the past, which can follow one another."""

from datetime import datetime
from typing import Final

import orjson
import pytest

from ledger.catalogue import CATALOGUE
from ledger_verifier.formats import entry as entries

TYPES: Final = CATALOGUE.types()


def test_examples_are_distinct_past_and_complete_events() -> None:
    ids = [one.example["id"] for one in TYPES]
    assert len(set(ids)) == len(ids)
    for one in TYPES:
        event = one.example
        assert entries.is_uuid(event["id"])
        assert entries.is_uuid(event["actor"])
        stream = entries.StreamRef.parse(event["subject"])
        assert stream.kind in one.stream_kinds
        time = datetime.fromisoformat(event["time"])
        assert (time.year, time.month) in {(2026, month) for month in range(1, 7)}
        assert event["specversion"] == "1.0"
        assert event["type"] == one.type
        assert event["schemaversion"] == one.schema
        assert event["datacontenttype"] == "application/json"
        assert entries.is_hub(event["hub"])
        assert entries.is_code(event["source"])
        assert entries.is_code(event["organisation"])
        assert event["regime"] in entries.REGIMES
        assert "expectedversion" not in event
        assert len(orjson.dumps(event)) < 8_192


def test_examples_can_follow_one_another() -> None:
    events = [one.example for one in TYPES]
    by_type = {event["type"]: event for event in events}
    order = [event["type"] for event in events]
    sent, received = by_type["data.disclosed"], by_type["disclosure.acknowledged"]
    assert order.index(sent["type"]) < order.index(received["type"])
    assert sent["subject"] == received["subject"]
    assert sent["data"]["disclosure_id"] == received["data"]["disclosure_id"]
    for name in ("recipient_erasure.requested", "recipient_erasure.confirmed"):
        assert order.index(received["type"]) < order.index(name)
        assert by_type[name]["subject"] == sent["subject"]
        assert by_type[name]["data"]["disclosure_id"] == sent["data"]["disclosure_id"]
    correction = by_type["event.corrected"]
    corrected = next(
        event for event in events if event["id"] == correction["data"]["corrected_event"]
    )
    assert corrected["subject"] == correction["subject"]
    assert order.index(corrected["type"]) < order.index(correction["type"])
    approved = by_type["assessment.approved"]["subject"]
    assert approved == f"assessment/{by_type['subject.identified']['data']['dpia_ref']}"
    ordered, executed = by_type["erasure.ordered"], by_type["erasure.executed"]
    assert ordered["actor"] != executed["actor"]
    touched = [event["type"] for event in events if event["subject"] == executed["subject"]]
    assert touched[:4] == ["case.closed", "pack.offered", "erasure.ordered", "erasure.executed"]
    assert executed["data"]["ordered_event"] == ordered["id"]
    assert {by_type[one]["data"]["executed_event"] for one in touched[4:]} == {executed["id"]}


@pytest.mark.parametrize("kind", ["access", "case", "content", "party", "restricted"])
def test_a_reading_can_name_every_field_that_a_stream_may_seal(kind: str) -> None:
    names = {
        name for one in CATALOGUE.registrations() if kind in one.stream_kinds for name in one.sealed
    }
    reading = CATALOGUE.get("record.consulted")
    assert reading is not None
    reading.validate({**reading.example["data"], "fields_opened": sorted(names)})
