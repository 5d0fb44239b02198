"""Who holds a receipt, the public tiles and checkpoints cannot tell a covert case from none."""

from collections.abc import AsyncIterator
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import NotFound
from ledger.submission import Submission
from ledger_verifier.formats.entry import StreamRef, decode, encode
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.formats.note import Note
from ledger_verifier.formats.proof import LogProof
from ledger_verifier.formats.tiles import Tile
from tests.ledger.acts import act, credential, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


async def seen_by_the_public(ledger: Ledger, between: Submission) -> dict[str, object]:
    """The form of all that somebody with a receipt can have around one entry of another's."""
    mine, _, last = [
        (await ledger.record(ANY, [one]))[0] for one in (identified(), between, act("case.closed"))
    ]
    size = last.position + 1
    tile = await ledger.tile(Tile(0, 0, size))
    receipt = LogProof.parse(mine.receipt.encode())
    checkpoint = Note.parse(receipt.checkpoint)
    return {
        "cells": len(tile) - 32 * (mine.position + 1),
        "between": size - mine.position,
        "lines of a checkpoint": len(checkpoint.text.splitlines()),
        "signers": [(line.name, len(line.signature)) for line in checkpoint.signatures],
        "published": [
            (line.name, len(line.signature))
            for line in Note.parse(await ledger.checkpoint()).signatures
        ],
    }


async def test_an_entry_of_a_restricted_stream_looks_like_any_other(ledger: Ledger) -> None:
    covert = act("notification.withheld", StreamRef("restricted", str(uuid4())))
    seen = await seen_by_the_public(ledger, covert)
    assert seen == await seen_by_the_public(ledger, identified())


async def test_who_knows_all_of_it_but_the_random_part_confirms_nothing(ledger: Ledger) -> None:
    covert = act("notification.withheld", StreamRef("restricted", str(uuid4())))
    (recorded,) = await ledger.record(ANY, [covert])
    raw = await ledger.entry(DPO, recorded.position, ACTOR)
    cell = (await ledger.tile(Tile(0, 0, recorded.position + 1)))[-32:]
    assert leaf_hash(raw) == cell
    entry = decode(raw)
    # The digests are of salted values; even with them, the entry itself has random bits of its own.
    guess = encode({**entry, "nonce": "A" * 22})
    assert leaf_hash(guess) != cell
    assert len(entry["nonce"]) == 22


async def test_neither_the_feed_nor_an_id_tells(ledger: Ledger) -> None:
    covert = act("notification.withheld", StreamRef("restricted", str(uuid4())))
    (recorded,) = await ledger.record(ANY, [covert])
    curious = credential(
        Role.COORDINATOR,
        all=False,
        organisation=covert.organisation,
        hubs=frozenset({covert.hub}),
        sources=frozenset({covert.source}),
    )
    found, _, _ = await ledger.feed(curious, recorded.position - 1)
    assert all(orjson.loads(raw)["stream"]["kind"] != "restricted" for _, raw in found)
    answers = []
    for position in (recorded.position, 10**9):
        with pytest.raises(NotFound) as refused:
            await ledger.sealed(curious, position, ACTOR, "review")
        answers.append((refused.value.detail, refused.value.fields))
    assert answers[0] == answers[1]
