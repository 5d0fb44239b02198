"""Bundles and packs of every kind of stream about people, at one chosen checkpoint, and that what
is not for a reader looks like nothing."""

import io
import threading
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from ledger import packs
from ledger.access import Credential, Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import BeyondTheLog, Expired, Forbidden, LedgerError, NotFound
from ledger.expiring import Expirer
from ledger.exports.bundles import packed
from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.person import PAGE
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.bundle import MANIFEST, BundleReader, CaseManifest, decode_disclosures
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.cover import COVER, NONCE, SUBJECT, WORDS
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import StreamRef, decode
from ledger_verifier.formats.note import Note
from tests.ledger.acts import LEWISHAM, act, credential, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO, INSPECTOR = credential(Role.DPO), credential(Role.INSPECTOR)
OFFICER, STANDARDS = credential(Role.RIGHTS_OFFICER), credential(Role.STANDARDS)
COORDINATOR = credential(Role.COORDINATOR)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
Members = dict[str, bytes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


def new(kind: str) -> StreamRef:
    return StreamRef(kind, str(uuid4()))


async def taken(
    ledger: Ledger, who: Credential, stream: StreamRef, audience: str | None = None, **named: Any
) -> Members:
    if audience not in (None, SUBJECT):
        named.setdefault("recipient", "ico")
    raw = await ledger.bundle(
        who, stream, audience, actor=ACTOR, **{"purpose": "inspection", **named}
    )
    reader = BundleReader(io.BytesIO(raw))
    return {name: reader.read(name) for name in reader.names}


def opened(members: Members) -> set[str]:
    return {
        Disclosure.parse(text).name
        for name, raw in members.items()
        if name.startswith("disclosures/")
        for text in decode_disclosures(raw)
    }


def common(members: Members) -> Members:
    """What is not for the reader alone."""
    own = {COVER, NONCE, PAGE}
    return {n: r for n, r in members.items() if n not in own and not n.startswith("disclosures/")}


async def one_of(ledger: Ledger, kind: str) -> StreamRef:
    """A new stream of a kind."""
    stream = new(kind)
    match kind:
        case "case":
            events = [identified(stream), act("data.disclosed", stream)]
        case "party":
            events = [act("erasure.ordered", stream), act("legal_hold.placed", stream)]
        case "content":
            events = [act("content.referred", stream)]
        case "restricted":
            events = [act("notification.withheld", stream)]
        case _:
            case = StreamRef("case", stream.id)
            await ledger.record(ANY, [identified(case)])
            await ledger.bundle(DPO, case, actor=ACTOR, purpose="review")
            return stream
    await ledger.record(ANY, events)
    return stream


async def consultations(ledger: Ledger, stream: StreamRef) -> int:
    """How often the reading of it is recorded."""
    return len(ledger._store.stream(f"access/{stream.id}"))


async def test_packs_at_one_size_hold_the_same_entries_and_proofs(
    ledger: Ledger, shared_directory: DataDirectory
) -> None:
    stream = await one_of(ledger, "case")
    size = Checkpoint.parse(Note.parse(await ledger.checkpoint()).text).size
    before = await taken(ledger, DPO, stream, at=size)
    await ledger.record(ANY, [act("case.closed", stream)])
    await ledger.checkpoint()
    made = [
        await taken(ledger, INSPECTOR, stream, "auditor", at=size),
        await taken(ledger, INSPECTOR, stream, "inspector", at=size),
        await taken(ledger, OFFICER, stream, "subject", at=size),
    ]
    for pack in (before, *made):
        assert common(pack) == common(before)
        bundle = io.BytesIO(packed(pack.items()))
        report = verify_case(BundleReader(bundle), shared_directory.policy())
        assert report.verdict is Verdict.VERIFIED, report.failures
    manifest = CaseManifest.parse(before[MANIFEST])
    assert (manifest.tree_size, len(manifest.positions)) == (size, 2)
    assert len({tuple(sorted(opened(pack))) for pack in made}) == 3
    # The person is told the same as ever, and nothing of how much else there is.
    assert Note.parse(made[2][COVER]).text.splitlines()[8:] == list(WORDS[SUBJECT])
    now = await taken(ledger, DPO, stream)
    assert len(CaseManifest.parse(now[MANIFEST]).positions) == 3
    # Each reading is recorded, and each pack besides.
    assert await consultations(ledger, stream) == 5 + 3


async def test_bundles_are_made_off_the_event_loop(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[threading.Thread] = []

    def watched(method: Any) -> Any:
        def make(*args: Any) -> Any:
            made.append(threading.current_thread())
            return method(*args)

        return make

    for name in ("digest_of", "packed", "stream_members"):
        monkeypatch.setattr(packs, name, watched(getattr(packs, name)))
    await taken(ledger, DPO, await one_of(ledger, "case"), "inspector")
    assert len(made) == 3
    assert threading.current_thread() not in made


async def test_a_size_that_no_checkpoint_was_published_of(ledger: Ledger) -> None:
    began = Checkpoint.parse(Note.parse(await ledger.checkpoint()).text).size
    stream = await one_of(ledger, "case")
    first, _ = await ledger.record(ANY, [act("case.reviewed", stream), act("case.closed", stream)])
    size = Checkpoint.parse(Note.parse(await ledger.checkpoint()).text).size
    # Between two events of one batch there was no tree.
    within, beyond = first.position + 1, size + 1000
    refused: dict[int, Any] = {}
    for at in (within, beyond):
        for asked in (stream, new("case")):
            with pytest.raises(BeyondTheLog) as caught:
                await ledger.bundle(DPO, asked, actor=ACTOR, at=at)
            refused.setdefault(at, caught.value.extra)
            assert caught.value.extra == refused[at]
    assert refused[within]["published_before"] < within < refused[within]["published_after"]
    assert refused[beyond].keys() == {"published_before"}
    assert await consultations(ledger, stream) == 0
    await ledger.bundle(DPO, stream, actor=ACTOR, at=refused[within]["published_after"])
    # Before the stream began, there was none.
    with pytest.raises(NotFound):
        await ledger.bundle(DPO, stream, actor=ACTOR, at=began)


@pytest.mark.parametrize("kind", ["access", "content", "party", "restricted"])
async def test_other_streams_are_bundled_and_verify(
    ledger: Ledger, shared_directory: DataDirectory, kind: str
) -> None:
    stream = await one_of(ledger, kind)
    had = await consultations(ledger, stream)
    plain = await taken(ledger, DPO, stream, purpose=None)
    whole = await taken(ledger, DPO, stream)
    pack = await taken(ledger, INSPECTOR, stream, "inspector")
    assert await consultations(ledger, stream) == had + 4
    for members in (plain, whole, pack):
        raw = io.BytesIO(packed(members.items()))
        report = verify_case(BundleReader(raw), shared_directory.policy())
        assert (report.verdict, report.subject) == (Verdict.VERIFIED, "stream bundle")
        assert CaseManifest.parse(members[MANIFEST]).stream == stream.text
    assert opened(plain) == set()
    assert opened(whole) == opened(pack) != set()
    if kind == "access":
        # Who looks at who looked is recorded there too, after what they were given.
        assert len(CaseManifest.parse(plain[MANIFEST]).positions) == had
        seen = await taken(ledger, STANDARDS, stream)
        assert opened(seen) == {"recipient"}


async def test_what_a_person_must_not_know_of_is_in_no_pack_of_theirs(ledger: Ledger) -> None:
    """Refused in the same words whether or not it exists."""
    size = (await ledger.status())["tree_size"]
    for kind in ("restricted", "access"):
        there = await one_of(ledger, kind)
        size = (await ledger.status())["tree_size"]
        refusals = set()
        for stream in (there, new(kind)):
            for who in (DPO, OFFICER):
                with pytest.raises(Forbidden) as refused:
                    await taken(ledger, who, stream, "subject")
                refusals.add((refused.value.detail, refused.value.fields))
            with pytest.raises(Forbidden):
                await taken(ledger, DPO, stream, "auditor")
        assert len(refusals) == 1
        assert (await ledger.status())["tree_size"] == size
    party = await taken(ledger, OFFICER, await one_of(ledger, "party"), "subject")
    assert Note.parse(party[COVER]).text.splitlines()[8:] == list(WORDS[SUBJECT])


KINDS = ("access", "case", "content", "party", "restricted")
LOOKS = ("entries", "entry", "has_expired", "head", "read", "stream", "stream_head", "stream_heads")


@pytest.fixture
def looks(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the event store, in order."""
    seen: list[str] = []

    def watched(name: str, method: Any) -> Any:
        def look(*args: Any, **named: Any) -> Any:
            seen.append(name)
            return method(*args, **named)

        return look

    for name in LOOKS:
        monkeypatch.setattr(ledger._store, name, watched(name, getattr(ledger._store, name)))
    return seen


async def test_unknown_forbidden_and_expired_are_looked_for_alike(
    ledger: Ledger, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the looks that are taken, since a stopwatch tells of nothing that can be relied on."""
    gone, reader = new("case"), elsewhere(Role.DPO)
    expired, _ = await ledger.record(ANY, [identified(gone), act("case.closed", gone)])
    monkeypatch.setattr(Expirer, "now", lambda _: datetime.now(UTC) + timedelta(days=4000))
    await ledger.record(DPO, [act("policy.adopted")])
    await ledger.record(DPO, [act("expiry.ordered")])
    with pytest.raises(Expired):
        await ledger.case(DPO, gone.id, ACTOR, None)
    there = {kind: await one_of(ledger, kind) for kind in KINDS}
    size = (await ledger.status())["tree_size"]

    async def looked(asked: Awaitable[object]) -> tuple[str, ...]:
        looks.clear()
        with pytest.raises(LedgerError) as refused:
            await asked
        return (refused.value.slug, refused.value.detail, *looks)

    def case(one: StreamRef) -> list[Awaitable[object]]:
        return [
            ledger.case(reader, one.id, ACTOR, None),
            ledger.erasure_certificate(reader, one.id, ACTOR, "controller"),
            ledger.bundle(reader, one, "subject", actor=ACTOR, purpose="review"),
        ]

    cases = (there["case"], gone, new("case"))
    for alike in zip(*[case(one) for one in cases], strict=True):
        assert len({await looked(asked) for asked in alike}) == 1
    for kind, stream in there.items():
        ways = [ledger.bundle(reader, one, actor=ACTOR) for one in (stream, new(kind))]
        assert len({await looked(asked) for asked in ways}) == 1
    positions = [ledger._store.stream(stream.text)[0].position for stream in there.values()]
    positional: list[list[Awaitable[object]]] = [
        [ledger.entry(reader, one) for one in (*positions, 10**9)],
        [ledger.receipt(reader, one) for one in (*positions, 10**9)],
        [ledger.sealed(reader, one, ACTOR, "review") for one in (*positions, 10**9)],
    ]
    for way in positional:
        assert len({await looked(asked) for asked in way}) == 1
    assert (await ledger.status())["tree_size"] == size
    with pytest.raises(Expired):
        await ledger.entry(reader, expired.position)


def elsewhere(role: Role) -> Credential:
    """Of another controller, in a hub that is not Lewisham."""
    assert LEWISHAM != "E09000001"
    return credential(
        role,
        all=False,
        organisation="elsewhere",
        hubs=frozenset({"E09000001"}),
        sources=frozenset({"elsewhere"}),
    )


async def test_who_does_not_read_such_streams_finds_none(ledger: Ledger) -> None:
    for kind, who in (("restricted", COORDINATOR), ("access", COORDINATOR), ("case", STANDARDS)):
        with pytest.raises(NotFound):
            await ledger.bundle(who, await one_of(ledger, kind), actor=ACTOR)
    with pytest.raises(Forbidden):
        await ledger.bundle(ANY, await one_of(ledger, "party"), actor=ACTOR)
    page, _, _ = await ledger.feed(DPO, limit=1000)
    assert any(decode(raw)["stream"]["kind"] == "party" for _, raw in page)
