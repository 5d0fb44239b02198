"""What is open to question about a real ledger: by HTTP's door, by fsck, and by a verifier."""

import asyncio
from uuid import uuid4

import pytest

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import Forbidden
from ledger.fsck import check
from ledger.submission import Submission
from ledger_verifier.formats.entry import StreamRef, decode
from ledger_verifier.meaning.assurance import NEEDED, NOT_COVERED
from tests.ledger.acts import act, credential, example

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
ARRANGEMENT = "joint-controller-arrangement"


def document(kind: str) -> Submission:
    """A document that covers the ledger itself."""
    if kind == ARRANGEMENT:
        stream = StreamRef("agreement", str(uuid4()))
        return with_data(
            "agreement.registered", stream, agreement_kind=kind, scope=["ledger"], review_due=None
        )
    stream = StreamRef("assessment", str(uuid4()))
    return with_data(
        "assessment.approved",
        stream,
        assessment_kind=kind,
        scope=["concern-hub", "ledger"],
        every_hub=True,
        review_due=None,
    )


def with_data(name: str, stream: StreamRef, **changes: object) -> Submission:
    return act(name, stream, data={**example(name).data, **changes})


def missed(found: object) -> list[object]:
    assert isinstance(found, list | tuple)
    return [one["documents"] for one in found if one["rule"] == NOT_COVERED]


async def test_it_stands_until_the_last_document_is_in_force(directory: DataDirectory) -> None:
    kinds = list(NEEDED)
    async with Ledger.open(directory.path) as ledger:
        for number, kind in enumerate(kinds):
            found = await ledger.findings(DPO)
            assert missed(found["items"]) == [kinds[number:]]
            (recorded,) = await ledger.record(ANY, [document(kind)])
            assert (await ledger.findings(DPO))["tree_size"] > recorded.position
        assert (await ledger.findings(DPO))["items"] == []
        mistaken = await event_at(ledger, recorded.position)
        correction = with_data("event.corrected", recorded.stream, corrected_event=mistaken)
        await ledger.record(ANY, [correction])
        assert missed((await ledger.findings(DPO))["items"]) == [kinds[-1:]]
    report = await asyncio.to_thread(check, directory)
    assert not report.failures
    assert missed(report.conduct) == [kinds[-1:]]


async def event_at(ledger: Ledger, position: int) -> str:
    found, _, _ = await ledger.feed(credential(Role.REGISTRAR), after=position - 1, limit=1)
    return str(decode(found[0][1])["id"])


async def test_it_is_for_those_who_answer_for_it_or_oversee_it(directory: DataDirectory) -> None:
    asked = {Role.DPO, Role.REGISTRAR, Role.AUDITOR, Role.INSPECTOR}
    async with Ledger.open(directory.path) as ledger:
        for role in Role:
            if role in asked:
                assert (await ledger.findings(credential(role)))["items"]
            else:
                with pytest.raises(Forbidden):
                    await ledger.findings(credential(role))
