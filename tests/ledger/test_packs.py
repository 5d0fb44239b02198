"""Packs: what each kind of reader is given of the same entries, under a signed cover."""

import io
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from ledger.access import Credential, Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import Forbidden, Malformed, NotFound, PurposeRequired
from ledger.exports.bundles import packed
from ledger.intake import LONDON
from ledger.packs import MAX_DAYS
from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.cover import COVER, NONCE, SUBJECT, WORDS, Cover
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.note import Note
from tests.ledger.acts import act, credential, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
DPO = credential(Role.DPO)
INSPECTOR = credential(Role.INSPECTOR)
Members = dict[str, bytes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


async def a_case(ledger: Ledger) -> StreamRef:
    stream = StreamRef("case", str(uuid4()))
    await ledger.record(
        ANY,
        [identified(stream), act("subject.notified", stream), act("data.disclosed", stream)],
    )
    return stream


async def a_pack(
    ledger: Ledger, who: Credential, stream: StreamRef, audience: str, **named: Any
) -> Members:
    raw = await ledger.bundle(who, stream, audience, actor=ACTOR, purpose="rights-request", **named)
    reader = BundleReader(io.BytesIO(raw))
    return {name: reader.read(name, 1 << 20) for name in reader.names}


def verified(directory: DataDirectory, members: Members) -> Report:
    reader = BundleReader(io.BytesIO(packed(members.items())))
    return verify_case(reader, directory.policy())


def opened(members: Members) -> set[str]:
    return {
        Disclosure.parse(line).name
        for name, raw in members.items()
        if name.startswith("disclosures/")
        for line in raw.decode().splitlines()
    }


async def test_each_reader_is_given_its_part_of_the_same_entries(
    ledger: Ledger, shared_directory: DataDirectory
) -> None:
    stream = await a_case(ledger)
    auditor = await a_pack(ledger, DPO, stream, "auditor", recipient="city-hall")
    inspector = await a_pack(ledger, INSPECTOR, stream, "inspector", recipient="ico")
    subject = await a_pack(ledger, credential(Role.RIGHTS_OFFICER), stream, "subject")
    positions = [orjson.loads(p["manifest.json"])["positions"] for p in (auditor, inspector)]
    assert positions == [orjson.loads(subject["manifest.json"])["positions"]] * 2
    for pack in (auditor, inspector, subject):
        report = verified(shared_directory, pack)
        assert report.verdict is Verdict.VERIFIED, report
        assert "that the log made this pack for the" in report.shown[-1]
    assert {"recipient_organisation", "recipient_person"} <= opened(auditor)
    assert "reasons" not in opened(auditor)
    assert opened(auditor) < opened(inspector)
    assert {"reasons", "recipient_organisation"} <= opened(subject)
    assert "recipient_person" not in opened(subject)
    cover = Cover.parse(Note.parse(subject[COVER]).text)
    assert (cover.audience, cover.recipient) == (SUBJECT, "person")
    assert all(line in cover.text for line in WORDS[SUBJECT])


async def test_making_a_pack_is_recorded_with_its_digest(ledger: Ledger) -> None:
    stream = await a_case(ledger)
    pack = await a_pack(ledger, DPO, stream, "auditor", recipient="city-hall")
    found, _, _ = await ledger.feed(INSPECTOR, types=frozenset({"export.produced"}), limit=1000)
    mine = [p for p, raw in found if orjson.loads(raw)["stream"]["id"] == stream.id]
    assert len(mine) == 1
    made = await ledger.sealed(INSPECTOR, mine[0], ACTOR, "inspection")
    cover = Cover.parse(Note.parse(pack[COVER]).text)
    assert made == {"recipient": "city-hall", "members_digest": cover.members}


async def test_a_changed_pack_fails(ledger: Ledger, shared_directory: DataDirectory) -> None:
    stream = await a_case(ledger)
    pack = await a_pack(ledger, DPO, stream, "inspector", recipient="ico")
    other = await a_pack(ledger, DPO, await a_case(ledger), "inspector", recipient="ico")
    fewer = {name: raw for name, raw in pack.items() if not name.startswith("disclosures/")}
    recipient = pack[COVER].replace(b"recipient ico", b"recipient tabloid")
    later = pack[COVER].replace(b"expires 20", b"expires 29")
    words = pack[COVER].replace(b"make no copy", b"make a copy")
    for changed in (
        fewer,
        pack | {COVER: recipient},
        pack | {COVER: later},
        pack | {COVER: words},
        pack | {COVER: other[COVER]},
        pack | {COVER: b"nothing"},
    ):
        report = verified(shared_directory, changed)
        assert report.verdict is Verdict.FAILED
        assert any("cover: " in failure.reason for failure in report.failures)
    without = {name: raw for name, raw in pack.items() if name not in (COVER, NONCE)}
    report = verified(shared_directory, without)
    assert report.verdict is Verdict.VERIFIED
    assert not any("pack" in line for line in report.shown)


async def test_covers_of_packs_of_equal_contents_cannot_be_exchanged(
    ledger: Ledger, shared_directory: DataDirectory
) -> None:
    stream = await a_case(ledger)
    size = Checkpoint.parse(Note.parse(await ledger.checkpoint()).text).size
    one = await a_pack(ledger, DPO, stream, "inspector", recipient="ico", at=size)
    other = await a_pack(
        ledger, DPO, stream, "inspector", recipient="city-hall", expires_on=_in_days(1), at=size
    )
    own = {COVER, NONCE}
    assert {n: raw for n, raw in one.items() if n not in own} == {
        n: raw for n, raw in other.items() if n not in own
    }
    bare = {name: raw for name, raw in one.items() if name != COVER}
    for changed, reason in (
        (one | {COVER: other[COVER]}, "^cover: it was signed over other contents"),
        (one | {NONCE: other[NONCE]}, "^cover: it was signed over other contents"),
        (bare, "^nonce: the cover of this pack was taken off"),
        (one | {NONCE: b"none\n"}, "^nonce: "),
        ({n: raw for n, raw in one.items() if n != NONCE}, "^cover: the pack has no nonce"),
    ):
        report = verified(shared_directory, changed)
        assert report.verdict is Verdict.FAILED
        assert any(re.match(reason, failure.reason) for failure in report.failures), report


def _in_days(days: int) -> str:
    return (datetime.now(LONDON).date() + timedelta(days=days)).isoformat()


async def test_a_persons_pack_is_the_same_with_and_without_something_withheld(
    ledger: Ledger,
) -> None:
    streams = [await a_case(ledger), await a_case(ledger)]
    hidden = StreamRef("restricted", str(uuid4()))
    await ledger.record(ANY, [act("notification.withheld", hidden)])
    officer = credential(Role.RIGHTS_OFFICER)
    packs = [await a_pack(ledger, officer, stream, "subject") for stream in streams]
    covers = [Note.parse(pack[COVER]).text.splitlines() for pack in packs]
    assert covers[0][8:] == covers[1][8:] == list(WORDS[SUBJECT])
    assert [*map(len, packs)] == [len(packs[0])] * 2
    assert hidden.id.encode() not in b"".join(packs[0].values())


async def test_what_may_not_be_made_is_refused(ledger: Ledger) -> None:
    stream = await a_case(ledger)
    size = (await ledger.status())["tree_size"]
    for role, audience in (
        (Role.AUDITOR, "inspector"),
        (Role.AUDITOR, "subject"),
        (Role.COORDINATOR, "auditor"),
        (Role.RIGHTS_OFFICER, "auditor"),
        (Role.SUBMITTER, "subject"),
    ):
        with pytest.raises(Forbidden):
            await a_pack(
                ledger,
                credential(role),
                stream,
                audience,
                **({} if audience == "subject" else {"recipient": "ico"}),
            )
    for audience, named, parameter in (
        ("auditor", {}, "?recipient"),
        ("auditor", {"recipient": "A Person"}, "?recipient"),
        ("auditor", {"recipient": "ico", "expires_on": "2020-01-01"}, "?expires"),
        ("auditor", {"recipient": "ico", "expires_on": _in_days(MAX_DAYS + 1)}, "?expires"),
        ("auditor", {"recipient": "ico", "expires_on": "soon"}, "?expires"),
        ("subject", {"recipient": "ico"}, "?recipient"),
    ):
        with pytest.raises(Malformed) as caught:
            await a_pack(ledger, DPO, stream, audience, **named)
        assert caught.value.slug == "invalid-request"
        (fault,) = caught.value.fields
        assert fault.pointer == parameter
        if parameter == "?expires":
            assert "YYYY-MM-DD" in fault.reason
            assert f"from {_in_days(0)} to {_in_days(MAX_DAYS)}" in fault.reason
    with pytest.raises(PurposeRequired):
        await ledger.bundle(DPO, stream, "subject", actor=ACTOR, purpose=None)
    with pytest.raises(NotFound):
        await a_pack(ledger, DPO, StreamRef("case", str(uuid4())), "subject")
    elsewhere = credential(
        Role.RIGHTS_OFFICER,
        all=False,
        organisation="elsewhere",
        hubs=frozenset({"E09000001"}),
        sources=frozenset({"elsewhere"}),
    )
    with pytest.raises(NotFound):
        await a_pack(ledger, elsewhere, stream, "subject")
    assert (await ledger.status())["tree_size"] == size
