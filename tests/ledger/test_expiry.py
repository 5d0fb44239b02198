"""Expiry of whole streams: what is due, what goes, what stays, and that nothing comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.access import Credential, Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.errors import (
    Busy,
    Expired,
    Invalid,
    NoPolicy,
    NotFound,
    OutOfScope,
)
from ledger.expiring import Expirer
from ledger.exports.bundles import write_log_bundle
from ledger.fsck import check
from ledger.projections.cases import CaseIndex
from ledger.store import Store, open_store
from ledger.submission import Submission
from ledger_verifier.audit.engine import verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.receipt import verify_receipt
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import StreamRef, decode
from ledger_verifier.formats.tiles import Tile, decode_entries
from ledger_verifier.meaning.expiry import spans_of
from tests.faults.life import Life, living
from tests.ledger.acts import LEWISHAM, act, credential, identified

ANY = credential()
DPO = credential(Role.DPO)
INSPECTOR = credential(Role.INSPECTOR)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
COUNCIL = "lewisham-council"
LATER = datetime.now(UTC) + timedelta(days=4000)


@pytest.fixture
async def ledger(directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(directory.path) as opened:
        yield opened


@pytest.fixture
def store(directory: DataDirectory) -> Iterator[Store]:
    with closing(open_store(directory.database)) as opened:
        yield opened


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is years later, for whoever asks what is due."""
    monkeypatch.setattr(Expirer, "now", lambda _: LATER)


def policy(**changes: object) -> Submission:
    adopted = act("policy.adopted")
    return act("policy.adopted", data={**adopted.data, **changes})


def closed(case: StreamRef) -> Submission:
    return act("case.closed", case)


async def adopt(ledger: Ledger) -> None:
    await ledger.record(DPO, [policy()])


async def closed_case(ledger: Ledger, **changes: object) -> tuple[StreamRef, list[Submission]]:
    """A case that was read, shared with a recipient, acknowledged by it, and closed."""
    stream = StreamRef("case", str(uuid4()))
    events = [
        identified(stream, **changes),
        act("data.disclosed", stream, **changes),
        act("disclosure.acknowledged", stream),
        act("case.closed", stream, **changes),
    ]
    for event in events:
        await ledger.record(ANY, [event])
    await ledger.case(DPO, stream.id, ACTOR, None)
    return stream, events


async def projected(ledger: Ledger) -> None:
    """Wait until the read models have followed."""
    for _ in range(1000):
        status = await ledger.status()
        if status["projected_size"] == status["tree_size"]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the read models do not follow")


def spans_in(store: Store) -> list[tuple[int, int]]:
    found = store.entries(0, 1000, ["stream.expired"])
    return [span for one in found for span in spans_of(decode(one.raw)["data"])]


def expired_positions(store: Store) -> list[int]:
    return [p for first, last in spans_in(store) for p in range(first, last + 1)]


async def test_what_is_due_expires_whole(
    ledger: Ledger, directory: DataDirectory, store: Store, later: None
) -> None:
    await adopt(ledger)
    stream, events = await closed_case(ledger)
    alive = StreamRef("case", str(uuid4()))
    await ledger.record(ANY, [identified(alive)])
    access = f"access/{stream.id}"
    first = [one.position for one in store.stream(stream.text)[:2]]
    kept = {position: await ledger.entry(DPO, position, ACTOR) for position in first}
    gone = [one.position for name in (stream.text, access) for one in store.stream(name)]
    receipts = {position: await ledger.receipt(DPO, position) for position in kept}
    due = await ledger.due(DPO, LEWISHAM, COUNCIL)
    assert due["kinds"]["case"] == {"due": 1, "waiting": {"open": 1}}
    assert due["kinds"]["access"] == {"due": 1, "waiting": {}}
    assert due["entries"] == len(gone)
    assert not any(one in str(due) for one in (stream.id, alive.id))
    order = act("expiry.ordered")
    (recorded,) = await ledger.record(DPO, [order])
    assert expired_positions(store) == sorted(gone)
    (explains,) = store.entries(recorded.position + 1, 1)
    assert decode(explains.raw)["data"]["order"] == recorded.position
    for position in gone:
        for method in (ledger.entry, ledger.receipt):
            with pytest.raises(Expired):
                await method(DPO, position)
    with pytest.raises(Expired):
        await ledger.case(DPO, stream.id, ACTOR, None)
    with pytest.raises(Expired):
        await ledger.sealed(DPO, gone[0], ACTOR, "review")
    visible, _, size = await ledger.feed(INSPECTOR, -1, 1000)
    assert not {position for position, _ in visible} & set(gone)
    served = decode_entries(await ledger.entry_bundle(INSPECTOR, Tile(None, 0, size)), size)
    assert [p for p, raw in enumerate(served) if not raw] == sorted(gone)
    for event in events:
        with pytest.raises(Expired):
            await ledger.record(ANY, [event])
    with pytest.raises(Expired):
        await ledger.record(ANY, [act("case.reviewed", stream)])
    with pytest.raises(Expired):
        await ledger.record(ANY, [identified(), act("case.reviewed", stream)])
    with pytest.raises(OutOfScope):
        await ledger.record(ANY, [act("case.reviewed", stream, hub="E09000001")])
    (again,) = await ledger.record(DPO, [order])
    assert (again.position, again.created) == (recorded.position, False)
    await ledger.case(DPO, alive.id, ACTOR, None)
    await assert_known_to_its_own(ledger, stream)
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["expired"] == len(gone)
    for position, raw in kept.items():
        proved = verify_receipt(receipts[position].encode(), raw, directory.policy())
        assert proved.verdict is Verdict.VERIFIED, proved.failures


async def assert_known_to_its_own(ledger: Ledger, stream: StreamRef) -> None:
    """To others it is what it was before: nothing."""
    for hub, error in ((LEWISHAM, Expired), ("E09000001", NotFound)):
        reader = credential(
            Role.COORDINATOR,
            all=False,
            organisation=COUNCIL,
            hubs=frozenset({hub}),
            sources=frozenset({"lewisham-cases"}),
        )
        with pytest.raises(error):
            await ledger.case(reader, stream.id, ACTOR, None)
        with pytest.raises(NotFound):
            await ledger.case(reader, str(uuid4()), ACTOR, None)


async def test_what_is_not_due_stays(sqlite_directory: DataDirectory, later: None) -> None:
    """For want of a policy, of a period, of an end, of age, of an erasure that was ordered."""
    case, party = (StreamRef(kind, str(uuid4())) for kind in ("case", "party"))
    order = act("expiry.ordered")
    with living(sqlite_directory) as life:
        with pytest.raises(NoPolicy):
            await life.record(order)
        await life.record(policy(effective_from="2099-01-01"))
        with pytest.raises(NoPolicy):
            life.expirer.due(LEWISHAM, COUNCIL)
        await life.record(policy(case_days=5000, party_days=None))
        access = act("record.consulted", StreamRef("access", case.id))
        await life.record(identified(case), act("case.closed", case), access)
        await life.record(act("erasure.ordered", party))
        await life.record(identified(organisation="met-police", source="met-cases"))
        await life.record(order)
        assert waiting(life, "case") == (0, {"too-young": 1})
        assert waiting(life, "party") == (0, {"no-period": 1})
        assert waiting(life, "access") == (0, {"still-told-of": 1})
        await life.record(policy())
        assert waiting(life, "party") == (0, {"erasure-ordered": 1})
        assert waiting(life, "case") == (1, {})
        assert waiting(life, "access") == (1, {})
        assert spans_in(life.store) == []
        with pytest.raises(NoPolicy):
            life.expirer.due(LEWISHAM, "met-police")
        with pytest.raises(Invalid):
            await life.record(policy(case_days=0))


def waiting(life: Life, kind: str) -> tuple[int, dict[str, int]]:
    found = life.expirer.due(LEWISHAM, COUNCIL).to_json()["kinds"][kind]
    return found["due"], found["waiting"]


async def test_an_order_among_other_events(sqlite_directory: DataDirectory, later: None) -> None:
    """It removes what was due before them, and stands beside no other order and no policy."""
    one, other = (StreamRef("case", str(uuid4())) for _ in range(2))
    with living(sqlite_directory) as life:
        await life.record(policy(), *(e(c) for c in (one, other) for e in (identified, closed)))
        for beside in (policy(), act("expiry.ordered")):
            with pytest.raises(Invalid, match="one after the other"):
                await life.record(beside, act("expiry.ordered"))
        assert spans_in(life.store) == []
        batch = [act("case.reviewed", one), act("expiry.ordered")]
        recorded = await life.record(*batch)
        (explains,) = life.store.entries(recorded[-1].position + 1, 10)
        assert decode(explains.raw)["data"]["order"] == recorded[1].position
        assert life.store.stream(other.text) == []
        assert len(life.store.stream(one.text)) == 3


async def test_who_read_an_expired_case_is_for_its_own_controller_to_see(
    ledger: Ledger, later: None
) -> None:
    """Also where whoever read it first was of another organisation."""

    def bound(role: Role, organisation: str) -> Credential:
        return credential(
            role,
            all=False,
            organisation=organisation,
            hubs=frozenset({LEWISHAM}),
            sources=frozenset({"some-cases"}),
        )

    await ledger.record(DPO, [policy(access_days=None)])
    case = StreamRef("case", str(uuid4()))
    await ledger.record(ANY, [identified(case), closed(case)])
    await ledger.case(bound(Role.COORDINATOR, "other-council"), case.id, ACTOR, None)
    await ledger.record(DPO, [act("expiry.ordered")])
    with pytest.raises(Expired):
        await ledger.case(DPO, case.id, ACTOR, None)
    seen = {}
    for organisation in ("lewisham-council", "other-council"):
        found, _, _ = await ledger.feed(
            bound(Role.DPO, organisation), types=frozenset({"record.consulted"}), limit=1000
        )
        seen[organisation] = [decode(raw)["stream"]["id"] for _, raw in found]
    assert case.id in seen["lewisham-council"]
    assert case.id not in seen["other-council"]


async def test_one_order_removes_so_much_and_the_next_the_rest(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch, later: None
) -> None:
    monkeypatch.setattr("ledger.expiring.MAX_STREAMS", 2)
    monkeypatch.setattr("ledger.log.expire.MAX_SPANS", 1)
    cases = [StreamRef("case", str(uuid4())) for _ in range(5)]
    with living(sqlite_directory) as life:
        for event in (identified, closed):
            await life.record(*(event(case) for case in cases))
        await life.record(policy())
        left = [5]
        while left[-1]:
            await life.record(act("expiry.ordered"))
            left.append(waiting(life, "case")[0])
        assert left == [5, 3, 1, 0]
        assert len(expired_positions(life.store)) == 10
        # Neighbours go together; nothing says which of them were of one stream.
        assert len(life.store.entries(0, 1000, ["stream.expired"])) == len(spans_in(life.store))
    assert check(sqlite_directory).verdict is Verdict.VERIFIED


async def test_writing_that_races_an_expiry(
    ledger: Ledger, directory: DataDirectory, later: None
) -> None:
    """Either the write is first, and the stream is not due, or it hears that it has expired."""
    await adopt(ledger)
    cases = [await closed_case(ledger) for _ in range(3)]
    writes = [
        ledger.record(ANY, [act("case.reviewed", stream)]) for stream, _ in cases for _ in range(4)
    ]
    orders = [ledger.record(DPO, [act("expiry.ordered")]) for _ in range(2)]
    mixed = [*writes[:6], orders[0], *writes[6:], orders[1]]
    results = await asyncio.gather(*mixed, return_exceptions=True)
    odd = [one for one in results if isinstance(one, Exception) and not isinstance(one, Expired)]
    assert odd == []
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


async def test_projections_and_bundles_follow(
    ledger: Ledger, directory: DataDirectory, store: Store, tmp_path: Path, later: None
) -> None:
    await adopt(ledger)
    stream, _ = await closed_case(ledger)
    alive = StreamRef("case", str(uuid4()))
    await ledger.record(ANY, [identified(alive)])
    with closing(open_database(directory.projections_database)) as database:
        index = CaseIndex(database)
        await projected(ledger)
        assert index.state(stream.id) is not None
        await ledger.record(DPO, [act("expiry.ordered")])
        await projected(ledger)
        assert index.state(stream.id) is None
        assert index.state(alive.id) is not None
        live = index.digest()
        index.rebuild(store)
        assert index.digest() == live
    items, _ = await ledger.cases(DPO, None, 10)
    assert [one["stream"] for one in items] == [alive.text]
    # The checkpoint that is asked for covers what is committed.
    await ledger.checkpoint()
    size = write_log_bundle(store, tmp_path / "bundle")
    with (tmp_path / "bundle").open("rb") as file:
        report = verify_log(BundleLogReader(BundleReader(file)), directory.policy())
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.tree_size == size
    assert report.checked["expired"] == len(expired_positions(store))


def test_a_bundle_that_lacks_what_explains_it_is_not_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries have expired under an entry that the newest checkpoint does not cover."""
    published = store.newest_publication()
    assert published is not None
    monkeypatch.setattr(store, "expired_through", lambda: published[0] + 1)
    with pytest.raises(Busy):
        write_log_bundle(store, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


async def test_nothing_of_it_is_in_any_file(sqlite_directory: DataDirectory, later: None) -> None:
    """Ids, entries, ciphertexts and keys: found before, so that the search can fail."""
    directory = sqlite_directory

    def everything() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(directory.path.rglob("*.sqlite*")))

    async with Ledger.open(directory.path) as ledger:
        await adopt(ledger)
        stream, events = await closed_case(ledger)
        with closing(open_store(directory.database)) as store:
            stored = [*store.stream(stream.text), *store.stream(f"access/{stream.id}")]
            sealed = [row.ciphertext for row in store.sealed([one.position for one in stored])]
            secrets = [stream.id.encode(), *(bytes.fromhex(e.id.replace("-", "")) for e in events)]
            # A page boundary may split what is long; its pieces are enough to find it by.
            for raw in [*(one.raw for one in stored), *sealed]:
                secrets += [raw[at : at + 40] for at in range(0, len(raw) - 40, 40)]
            with closing(open_database(directory.key_database)) as keys, keys.transaction() as rows:
                rows.execute(
                    "SELECT wrapped FROM stream_keys WHERE stream LIKE ?", (f"%{stream.id}",)
                )
                wrapped = [bytes(row[0]) for row in rows.fetchall()]
            secrets += wrapped
            # What every entry has in common is no secret of these.
            common = b"".join(one.raw for one in store.entries(0, 1000) if one not in stored)
            await projected(ledger)
        before = everything()
        secrets = [one for one in secrets if one in before and one not in common]
        assert len(wrapped) >= 3
        assert all(one in secrets for one in (stream.id.encode(), *wrapped))
        await ledger.record(DPO, [act("expiry.ordered")])
        await projected(ledger)
    left = everything()
    assert [one for one in secrets if one in left] == []
