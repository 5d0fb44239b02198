"""The page in a person's own pack: what it says, and that nobody can have it say anything else."""

import io
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.exports.bundles import packed
from ledger.submission import Submission
from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.person import PAGE
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.cover import COVER, Cover, digest_of
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.note import Note
from ledger_verifier.meaning import plain
from tests.ledger.acts import act, credential, example, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
OFFICER = credential(Role.RIGHTS_OFFICER)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
Members = dict[str, bytes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


def saying(type_name: str, stream: StreamRef, **data: Any) -> Submission:
    return act(type_name, stream, data={**example(type_name).data, **data})


async def members_of(ledger: Ledger, stream: StreamRef, audience: str = "subject") -> Members:
    recipient = None if audience == "subject" else "fictional-body"
    raw = await ledger.bundle(
        OFFICER if audience == "subject" else DPO,
        stream,
        audience,
        actor=ACTOR,
        purpose="rights-request",
        recipient=recipient,
    )
    reader = BundleReader(io.BytesIO(raw))
    return {name: reader.read(name, 1 << 20) for name in reader.names}


async def text_of(ledger: Ledger, stream: StreamRef) -> str:
    """What the page says, a line each element."""
    page = (await members_of(ledger, stream))[PAGE].decode()
    body = page[page.index("<body>") :]
    return unescape(re.sub(r"\n+", "\n", re.sub(r"<[^>]+>", "\n", body)))


def signed_over(directory: DataDirectory, members: Members, **changes: str) -> Members:
    """The pack with a cover that the log's own key signed over these members."""
    cover = Cover.parse(Note.parse(members[COVER]).text)
    facts = {name: getattr(cover, name) for name in Cover.__dataclass_fields__}
    again = Cover(**{**facts, **changes, "members": digest_of(members.items())})
    note = Note(again.text, (directory.signing_keys().ed25519.sign(again.text),))
    return {**members, COVER: note.encode()}


def verified(directory: DataDirectory, members: Members) -> Report:
    return verify_case(BundleReader(io.BytesIO(packed(members.items()))), directory.policy())


async def test_it_says_what_is_held_in_words_for_its_reader(
    ledger: Ledger, shared_directory: DataDirectory
) -> None:
    person = identified()
    shared = act("data.disclosed", person.stream)
    await ledger.record(ANY, [person, shared])
    members = await members_of(ledger, person.stream)
    report = verified(shared_directory, members)
    assert (report.verdict, report.checked["pages"]) == (Verdict.VERIFIED, 1)
    said = await text_of(ledger, person.stream)
    lines = said.split("\n")
    assert lines[lines.index("12 January 2026") + 1] == plain.ACTS["subject.identified"]
    for label, value in (
        ("Name", "Example Person One"),
        ("Date of birth", "3 February 2011"),
        ("How they see you", "somebody who may be at risk"),
        ("Who told them about you", "school"),
        ("What for", "to help you"),
        ("Why", str(person.data["reasons"])),
        ("Ethnic group", "not stated"),
        ("What kind of people got it", "a charity"),
    ):
        assert lines[lines.index(label) + 1] == value
    assert "Lewisham council" in said
    for line in (*plain.INTRO, *plain.RIGHTS, *plain.FILES):
        assert line in said
    # Who on the staff did what, and at which place in the log, is not for it.
    assert str(person.actor) not in members[PAGE].decode()
    assert str(shared.data["recipient_person"]) not in said


async def test_only_the_persons_own_pack_has_it(ledger: Ledger) -> None:
    person = identified()
    await ledger.record(ANY, [person])
    assert PAGE in await members_of(ledger, person.stream)
    for audience in ("auditor", "inspector"):
        assert PAGE not in await members_of(ledger, person.stream, audience)
    once, again = [(await members_of(ledger, person.stream))[PAGE] for _ in range(2)]
    assert once == again


async def test_what_is_gone_or_contested_or_anothers_is_said(ledger: Ledger) -> None:
    stream = StreamRef("case", str(uuid4()))
    wrong = saying("record.altered", stream, after="Fictional: about the brother")
    doubted = saying("support.declined", stream)
    slip = saying("case.reviewed", stream)
    contest = saying("accuracy.contested", stream, contested_events=[doubted.id])
    marks = [
        contest,
        saying("entry.misattributed", stream, misattributed_event=wrong.id),
        saying("event.corrected", stream, corrected_event=slip.id),
    ]
    await ledger.record(DPO, [identified(stream), wrong, doubted, slip, *marks])
    said = await text_of(ledger, stream)
    assert "about the brother" not in said
    for line in (plain.NOT_YOU, plain.MISTAKE, plain.CONTESTED):
        assert said.count(line) == 1
    assert plain.NOT_SHOWN not in said
    decision = saying("rectification.decided", stream, contested_event=contest.id)
    erasure = saying("erasure.executed", stream, ordered_event=None)
    erasure.data.update(scope="entries", erased_events=[slip.id])
    await ledger.record(DPO, [decision])
    await ledger.record(DPO, [erasure])
    await ledger.erasures_verified()
    said = await text_of(ledger, stream)
    assert plain.CONTESTED not in said
    assert said.count(plain.DECIDED) == said.count(plain.NOT_SHOWN) == 1


async def test_whatever_was_recorded_is_shown_as_text(ledger: Ledger) -> None:
    stream = StreamRef("case", str(uuid4()))
    hostile = "<script>alert(1)</script> & \"'\u202e support"
    await ledger.record(
        ANY, [saying("subject.identified", stream, reasons=hostile, name="refused")]
    )
    page = (await members_of(ledger, stream))[PAGE].decode()
    assert "<script" not in page
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;&#x27;\N{REPLACEMENT CHARACTER}" in page
    )
    # What somebody wrote is no code, whatever it looks like.
    assert "<dt>Name</dt><dd><bdi>refused</bdi></dd>" in page


async def test_the_log_itself_cannot_sign_another_page(
    ledger: Ledger, shared_directory: DataDirectory
) -> None:
    person = identified()
    await ledger.record(ANY, [person])
    members = await members_of(ledger, person.stream)
    other = members[PAGE].replace(b"to help you", b"to check up on you")
    assert other != members[PAGE]
    changed = members | {PAGE: other}
    assert verified(shared_directory, changed).verdict is Verdict.FAILED
    report = verified(shared_directory, signed_over(shared_directory, changed))
    assert report.verdict is Verdict.FAILED
    assert [f.reason for f in report.failures] == [
        "page.html: it does not say what the entries and opened fields say"
    ]
    # Made with other words it is not judged, and that is said.
    elsewhen = members[PAGE].replace(plain.VERSION.encode(), b"hub-ledger/plain@v0")
    report = verified(shared_directory, signed_over(shared_directory, members | {PAGE: elsewhen}))
    assert report.verdict is Verdict.VERIFIED
    assert any("page.html" in line for line in report.not_assessed)
    assert "pages" not in report.checked
    # In a pack for somebody else it has no place.
    stranger = signed_over(
        shared_directory, members, audience="inspector", recipient="fictional-body"
    )
    assert verified(shared_directory, stranger).verdict is Verdict.FAILED
    bare = {name: raw for name, raw in members.items() if name not in (COVER, "nonce")}
    assert verified(shared_directory, bare).verdict is Verdict.FAILED
