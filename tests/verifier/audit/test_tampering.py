"""Logs that were altered after they were signed: each is FAILED, and the place is named."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.merkle import leaf_hashes, root_of
from ledger_verifier.formats.tiles import decode_entries, encode_entries, encode_hashes

from ..formats.hostile import mutants
from .conftest import SIZE, Verify
from .world import World, change_cell, change_entry, entry_tile, sign, tree_members

EVERYTHING_ELSE = "every entry that is not listed is the one that the checkpoint signs"


def altered(raw: bytes) -> bytes:
    """The same entry, still canonical and of its type, with one digit changed."""
    at = raw.index(b'"times":') + len(b'"times":')
    return raw[:at] + (b"1" if raw[at : at + 1] != b"1" else b"2") + raw[at + 1 :]


def test_a_good_log_is_verified(verify: Verify, members: dict[str, bytes], world: World) -> None:
    report = verify(members)
    assert report.verdict is Verdict.VERIFIED
    assert report.failures == ()
    assert report.tree_size == SIZE
    assert report.root == world.root().hex()
    assert report.checked["entries"] == SIZE
    assert report.checked["streams"] == 21
    assert report.checked["registrations"] == 2
    assert report.checked["cells"] == SIZE + 2
    assert report.checked["cosignatures"] == 2


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 511, 512, 513])
def test_logs_of_every_shape_of_edge(over_bundle: Verify, size: int, world: World) -> None:
    part = World(entries=world.entries[:size])
    report = over_bundle(part.members())
    assert report.verdict is Verdict.VERIFIED
    assert report.checked["entries"] == size


@pytest.mark.parametrize("position", [3, 255, 256, 300, 511, 512, 599])
def test_one_digit_of_an_entry_is_changed(
    verify: Verify, members: dict[str, bytes], world: World, position: int
) -> None:
    change_entry(members, SIZE, position, altered(world.entries[position]))
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert [failure.position for failure in report.failures] == [position]
    assert EVERYTHING_ELSE in report.provable


def test_entry_zero_is_changed(verify: Verify, members: dict[str, bytes], world: World) -> None:
    change_entry(members, SIZE, 0, world.entries[0].replace(b"ledger.test/hub", b"ledger.test/hut"))
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert {failure.position for failure in report.failures} == {0}
    assert report.failures[0].field == "data.origin"


def test_the_failure_names_the_stream_and_the_field(
    over_bundle: Verify, members: dict[str, bytes], world: World
) -> None:
    raw = world.entries[300]
    change_entry(members, SIZE, 300, raw.replace(b'"support"', b'"gossip!"'))
    first = over_bundle(members).failures[0]
    assert (first.position, first.field) == (300, "data.purpose")
    assert first.stream is not None
    assert first.stream.startswith("case/")
    assert "gossip" not in first.reason


def test_two_neighbours_are_swapped(
    verify: Verify, members: dict[str, bytes], world: World
) -> None:
    change_entry(members, SIZE, 300, world.entries[301])
    change_entry(members, SIZE, 301, world.entries[300])
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert {failure.position for failure in report.failures} == {300, 301}
    assert any("swapped" in failure.reason for failure in report.failures)


def test_two_entries_far_apart_are_swapped(
    over_bundle: Verify, members: dict[str, bytes], world: World
) -> None:
    change_entry(members, SIZE, 10, world.entries[590])
    change_entry(members, SIZE, 590, world.entries[10])
    report = over_bundle(members)
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == 10
    assert {10, 590} <= {failure.position for failure in report.failures}


def test_an_entry_is_inserted(verify: Verify, members: dict[str, bytes], world: World) -> None:
    entries = [*world.entries[:300], altered(world.entries[301]), *world.entries[300:-1]]
    replace_entries(members, entries)
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == 300
    assert any("inserted" in failure.reason for failure in report.failures)
    assert report.failure_count > len(report.failures)


def test_an_entry_is_duplicated(
    over_bundle: Verify, members: dict[str, bytes], world: World
) -> None:
    entries = [*world.entries[:301], world.entries[300], *world.entries[301:-1]]
    replace_entries(members, entries)
    report = over_bundle(members)
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == 301


def test_an_entry_is_removed(verify: Verify, members: dict[str, bytes], world: World) -> None:
    entries = [*world.entries[:300], *world.entries[301:], altered(world.entries[-1])]
    replace_entries(members, entries)
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == 300
    assert any("missing" in failure.reason for failure in report.failures)


def replace_entries(members: dict[str, bytes], entries: list[bytes]) -> None:
    """Other entries under the old hash tiles."""
    fresh = tree_members(entries)
    for path in members:
        if path.startswith("tile/entries/"):
            members[path] = fresh[path]


def test_an_entry_bundle_lost_its_last_entry(verify: Verify, members: dict[str, bytes]) -> None:
    path = entry_tile(599, SIZE).path
    members[path] = encode_entries(decode_entries(members[path], 88)[:-1])
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert [(f.position, f.tile) for f in report.failures] == [(512, path)]


@pytest.mark.parametrize("cell", [0, 88])
def test_a_leaf_tile_is_changed_but_no_entry(
    verify: Verify, members: dict[str, bytes], cell: int
) -> None:
    path = "tile/0/001"
    change_cell(members, path, cell)
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert [(f.tile, f.position) for f in report.failures] == [(path, None)]
    assert f"cell {cell}" in report.failures[0].reason
    assert "the entries together are those" in report.provable


@pytest.mark.parametrize("path", ["tile/0/002.p/88", "tile/1/000.p/2"])
def test_a_cell_at_the_edge_is_changed(
    verify: Verify, members: dict[str, bytes], path: str
) -> None:
    change_cell(members, path, 1)
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert [f.tile for f in report.failures] == [path]


def test_an_entry_is_changed_and_its_leaf_tile_with_it(
    verify: Verify, members: dict[str, bytes], world: World
) -> None:
    raw = altered(world.entries[300])
    change_entry(members, SIZE, 300, raw)
    change_cell(members, "tile/0/001", 300 - 256, leaf_hashes([raw])[0])
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    reasons = " ".join(failure.reason for failure in report.failures)
    assert "entries 256 to 511" in reasons
    assert "tile/1/000.p/2" in {failure.tile for failure in report.failures}
    assert "outside the ranges" in report.provable


def test_an_entry_is_changed_and_a_tile_elsewhere_too(
    over_bundle: Verify, members: dict[str, bytes], world: World
) -> None:
    change_entry(members, SIZE, 300, altered(world.entries[300]))
    change_cell(members, "tile/0/000", 7)
    report = over_bundle(members)
    assert report.verdict is Verdict.FAILED
    assert report.failures[0].position == 300
    assert "tile/0/000" in {failure.tile for failure in report.failures}


def test_a_whole_tree_is_changed_under_the_old_checkpoint(
    verify: Verify, members: dict[str, bytes], world: World
) -> None:
    """Nothing that is served leads to the signed root; an earlier checkpoint narrows it down."""
    entries = list(world.entries)
    entries[300] = altered(entries[300])
    forged = {**tree_members(entries), "checkpoint": members["checkpoint"]}
    report = verify(forged, since=(world.checkpoint(280),))
    assert report.verdict is Verdict.FAILED
    reasons = " ".join(failure.reason for failure in report.failures)
    assert "does not have the signed root" in reasons or "one of the two was changed" in reasons
    assert "the first 280 entries are those of since-0" in report.provable


def test_the_change_shows_in_the_stream_when_the_tree_cannot_tell(
    over_bundle: Verify, members: dict[str, bytes], world: World
) -> None:
    entries = list(world.entries)
    entries[300] = altered(entries[300])
    report = over_bundle({**tree_members(entries), "checkpoint": members["checkpoint"]})
    chained = [f for f in report.failures if f.field == "stream.previous"]
    assert [f.position for f in chained] == [320]
    assert "position 300" in chained[0].reason


def test_a_hash_tile_is_absent(
    over_http: Verify, over_bundle: Verify, members: dict[str, bytes]
) -> None:
    del members["tile/1/000.p/2"]
    report = over_http(members)
    assert report.verdict is Verdict.FAILED
    assert [f.tile for f in report.failures] == ["tile/1/000.p/2"]
    lacking = over_bundle(members)
    assert lacking.verdict is Verdict.UNVERIFIABLE
    assert lacking.lacking == ("the bundle lacks tile/1/000.p/2",)


def test_an_entry_bundle_is_absent(
    over_http: Verify, over_bundle: Verify, members: dict[str, bytes]
) -> None:
    del members["tile/entries/001"]
    report = over_http(members)
    assert report.verdict is Verdict.FAILED
    assert [(f.position, f.tile) for f in report.failures] == [(256, "tile/entries/001")]
    lacking = over_bundle(members)
    assert lacking.verdict is Verdict.UNVERIFIABLE
    assert lacking.checked["entries"] == SIZE - 256


def test_a_checkpoint_is_absent(
    over_http: Verify, over_bundle: Verify, members: dict[str, bytes]
) -> None:
    del members["checkpoint"]
    assert over_http(members).verdict is Verdict.UNVERIFIABLE
    assert over_bundle(members).verdict is Verdict.UNVERIFIABLE


def test_nothing_but_the_checkpoint_is_there(over_http: Verify, members: dict[str, bytes]) -> None:
    report = over_http({"checkpoint": members["checkpoint"]})
    assert report.verdict is Verdict.FAILED
    assert report.checked["entries"] == 0
    assert any("positions 0 to 599" in line for line in report.not_assessed)


def test_an_enormous_signed_size_ends_soon(over_http: Verify) -> None:
    """A key that signs nonsense must not keep the auditor's machine busy for ever."""
    report = over_http({"checkpoint": sign(2**62, bytes(32))})
    assert report.verdict is Verdict.FAILED


def test_an_expired_entry_is_not_explained(verify: Verify, members: dict[str, bytes]) -> None:
    change_entry(members, SIZE, 300, b"")
    report = verify(members)
    assert report.verdict is Verdict.FAILED
    assert [f.position for f in report.failures] == [300]
    assert "absent without an entry" in report.failures[0].reason
    assert report.checked["absent"] == 1
    assert report.checked["entries"] == SIZE - 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>not a log</html>",
        b"\xff" * 200,
        b"ledger.test/hub\n600\nAAAA\n\n",
    ],
)
def test_what_is_no_checkpoint(verify: Verify, members: dict[str, bytes], raw: bytes) -> None:
    report = verify({**members, "checkpoint": raw})
    assert report.verdict is Verdict.FAILED
    assert report.tree_size is None


def test_a_checkpoint_of_another_root(verify: Verify, members: dict[str, bytes]) -> None:
    report = verify({**members, "checkpoint": sign(SIZE, bytes(32))})
    assert report.verdict is Verdict.FAILED
    assert "does not have the signed root" in report.failures[0].reason


def test_a_checkpoint_whose_signature_was_changed(
    verify: Verify, members: dict[str, bytes]
) -> None:
    raw = members["checkpoint"]
    line = raw.split(b"\n")[4]
    forged = raw.replace(
        line, line[:-8] + (b"AAAAAAA=" if line[-8:] != b"AAAAAAA=" else b"BBBBBBA=")
    )
    report = verify({**members, "checkpoint": forged})
    assert report.verdict is Verdict.FAILED


SMALL = World(seed=5).fill(5, streams=2)
SMALL_MEMBERS = SMALL.members()


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_alteration_goes_unnoticed(data: st.DataObject, over_bundle: Verify) -> None:
    """Whatever is done to a member other than the checkpoint: it is found, and nothing raises."""
    name = data.draw(st.sampled_from(sorted(set(SMALL_MEMBERS) - {"checkpoint"})))
    raw = data.draw(mutants(SMALL_MEMBERS[name]))
    report = over_bundle({**SMALL_MEMBERS, name: raw})
    expected = Verdict.VERIFIED if raw == SMALL_MEMBERS[name] else Verdict.FAILED
    assert report.verdict is expected


@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(raw=mutants(SMALL_MEMBERS["checkpoint"]))
def test_no_altered_checkpoint_shows_another_tree(raw: bytes, over_bundle: Verify) -> None:
    """A line may be lost (the quorum is then missing), but no other size or root is believed."""
    report = over_bundle({**SMALL_MEMBERS, "checkpoint": raw})
    if report.verdict in (Verdict.VERIFIED, Verdict.UNWITNESSED):
        assert (report.tree_size, report.root) == (5, SMALL.root().hex())


def test_a_tree_of_three_levels() -> None:
    """Interior cells of the second level, which a log of 65,536 entries is the first to have."""
    from ledger_verifier.audit.cells import CellTree
    from ledger_verifier.audit.locate import locate
    from ledger_verifier.audit.report.model import Findings
    from ledger_verifier.formats.tiles import Tile, bundles_of, tiles_of

    size = 256 * 256 + 300
    leaves = leaf_hashes(n.to_bytes(4) for n in range(size))
    rows = [leaves]
    while len(rows[-1]) >= 256:
        below = rows[-1]
        rows.append([root_of(below[i : i + 256]) for i in range(0, len(below) - 255, 256)])
    tiles = {
        tile: encode_hashes(rows[tile.level or 0][tile.start : tile.start + tile.width])
        for tile in tiles_of(size)
    }

    def differing(changed: Tile, cell: int) -> list[str | None]:
        forged = bytearray(tiles[changed])
        forged[32 * cell] ^= 1
        served = {**tiles, changed: bytes(forged)}
        tree = CellTree(served.get)
        for bundle in bundles_of(size):
            tree.add(
                b"".join(leaves[bundle.start : bundle.start + bundle.width]),
                served[Tile(0, bundle.index, bundle.width)],
            )
        tree.finish()
        assert tree.root() == root_of(leaves)
        assert tree.hash_tiles == len(tiles)
        findings = Findings()
        assert locate(tree, served.get, size, root_of(leaves), findings).entries_good
        return [failure.tile for failure in findings.failures]

    for tile, cell in (
        (Tile(1, 0), 200),
        (Tile(1, 1, 1), 0),
        (Tile(2, 0, 1), 0),
        (Tile(0, 256), 9),
    ):
        assert differing(tile, cell) == [tile.path]
