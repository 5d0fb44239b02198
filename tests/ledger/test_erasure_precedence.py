"""What stands before an erasure: the operation is refused with the reason, and nothing recorded."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import ErasureBarred, Invalid, ReservedType
from ledger.log.clock import instant
from ledger.submission import Submission
from ledger_verifier.formats.entry import StreamRef
from tests.ledger.acts import act, credential, identified

ANY = credential()
DPO = credential(Role.DPO)
OTHER = credential(Role.COORDINATOR)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
SECOND = "4ee99f98-c43c-40fa-bc79-377c70ba0cbb"


@pytest.fixture
async def ledger(sqlite_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(sqlite_directory.path) as opened:
        yield opened


def said(name: str, stream: StreamRef, **data: Any) -> Submission:
    base = act(name, stream)
    return replace(base, data={**base.data, **data})


async def refused(ledger: Ledger, stream: StreamRef, **data: Any) -> str:
    """Why an erasure of the stream is refused; nothing may have been recorded."""
    size = (await ledger.status())["tree_size"]
    with pytest.raises(ErasureBarred, match="Nothing was recorded") as caught:
        await ledger.record(DPO, [said("erasure.executed", stream, **data)])
    assert (await ledger.status())["tree_size"] == size
    assert [field.pointer for field in caught.value.fields] == ["/subject"]
    return str(caught.value.extra["reason"])


async def test_a_hold_bars_until_it_is_released(ledger: Ledger) -> None:
    person = identified()
    hold = act("legal_hold.placed", person.stream)
    await ledger.record(ANY, [person, hold])
    assert await refused(ledger, person.stream) == "legal-hold"
    some = {"scope": "entries", "erased_events": [person.id]}
    assert await refused(ledger, person.stream, **some) == "legal-hold"
    await ledger.record(DPO, [said("legal_hold.released", person.stream, placed_event=hold.id)])
    await ledger.record(DPO, [act("erasure.executed", person.stream)])


async def test_a_request_bars_until_it_is_answered_or_waived(ledger: Ledger) -> None:
    for closing in ("access_request.answered", "access_request.waived"):
        person = identified()
        request = act("access_request.received", person.stream)
        await ledger.record(ANY, [person, request])
        # A day that is fixed only now is no help.
        await ledger.record(ANY, [act("case.closed", person.stream)])
        assert await refused(ledger, person.stream) == "access-request"
        await ledger.record(DPO, [said(closing, person.stream, request_event=request.id)])
        await ledger.record(DPO, [act("erasure.executed", person.stream)])


async def test_a_day_fixed_before_the_request_is_kept_to(ledger: Ledger) -> None:
    person = identified()
    await ledger.record(ANY, [person, act("case.closed", person.stream)])
    await ledger.record(ANY, [act("access_request.received", person.stream)])
    await ledger.record(DPO, [act("erasure.executed", person.stream)])


async def test_a_court_stands_before_everything(ledger: Ledger) -> None:
    person = identified()
    order = said("erasure.ordered", person.stream, ground="court-order", erase_due=None)
    await ledger.record(ANY, [person, act("access_request.received", person.stream), order])
    await ledger.record(ANY, [said("legal_hold.placed", person.stream, basis="litigation")])
    assert await refused(ledger, person.stream) == "legal-hold"
    court = said("legal_hold.placed", person.stream, basis="court-order")
    await ledger.record(ANY, [court])
    assert await refused(ledger, person.stream, ordered_event=order.id) == "court-order"
    await ledger.record(DPO, [said("legal_hold.released", person.stream, placed_event=court.id)])
    await ledger.record(DPO, [said("erasure.executed", person.stream, ordered_event=order.id)])


async def test_dual_control_is_told_and_its_lack_never_refused(ledger: Ledger) -> None:
    person = identified()
    order = act("erasure.ordered", person.stream, actor=SECOND)
    await ledger.record(ANY, [person, act("pack.offered", person.stream)])
    await ledger.record(OTHER, [order])
    erasure = said("erasure.executed", person.stream, ordered_event=order.id)
    (recorded,) = await ledger.record(DPO, [replace(erasure, time=instant(time.time()))])
    state = await ledger.case(DPO, person.stream.id, ACTOR, None)
    assert (state["erasures"][0]["dual_control"], state["findings"]) == (True, [])
    assert state["erased_at"] == recorded.recorded_at
    alone = identified()
    order = act("erasure.ordered", alone.stream, actor=SECOND)
    await ledger.record(ANY, [alone])
    await ledger.record(DPO, [order])
    await ledger.record(DPO, [said("erasure.executed", alone.stream, ordered_event=order.id)])
    state = await ledger.case(DPO, alone.stream.id, ACTOR, None)
    # The catalogue's example has its own time, long ago.
    assert state["findings"] == [
        "dual-control-not-evidenced",
        "erasure-backdated",
        "pack-not-offered",
    ]


async def test_what_is_named_is_there_and_of_its_type(ledger: Ledger) -> None:
    person, other = identified(), identified()
    order = act("erasure.ordered", other.stream)
    await ledger.record(ANY, [person, other, order])
    for named in (order.id, person.id):
        with pytest.raises(Invalid):
            await ledger.record(DPO, [said("erasure.executed", person.stream, ordered_event=named)])
    with pytest.raises(Invalid):
        await ledger.record(
            DPO, [said("legal_hold.released", person.stream, placed_event=person.id)]
        )


@pytest.mark.parametrize("name", ["erasure.verified", "findings.frozen"])
async def test_what_the_ledger_alone_records_is_refused_from_clients(
    ledger: Ledger, name: str
) -> None:
    with pytest.raises(ReservedType):
        await ledger.record(DPO, [act(name)])
