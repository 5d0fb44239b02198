"""Tile paths, entry bundles, and proofs read out of tiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales import reader as scales_reader
from tlog_scales import tiles as scales_tiles

from ledger_verifier.formats.errors import TileError
from ledger_verifier.formats.merkle import (
    leaf_hash,
    leaf_hashes,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from ledger_verifier.formats.tiles import (
    MAX_ENTRY_SIZE,
    Tile,
    bundles_of,
    decode_entries,
    decode_hashes,
    encode_entries,
    encode_hashes,
    node_reader,
    tiles_of,
    width_at,
)
from tests.vectors import load
from tests.verifier.formats.hostile import mutants

VECTORS = load("c2sp/tiles.json")
SIZE = 66_000  # three levels: 257 full tiles and a part, one full and a part, one of width 1
LEAVES = leaf_hashes(index.to_bytes(4) for index in range(SIZE))
LEVEL_1 = [root_of(LEAVES[start : start + 256]) for start in range(0, SIZE - 255, 256)]
LEVEL_2 = [root_of(LEVEL_1[:256])]
CELLS = {0: LEAVES, 1: LEVEL_1, 2: LEVEL_2}

tiles = st.builds(
    Tile, st.none() | st.integers(0, 63), st.integers(0, 2**55 - 1), st.integers(1, 256)
)
entries = st.lists(st.binary(max_size=300), min_size=1, max_size=256)


def read(tile: Tile) -> list[bytes]:
    """Serve a hash tile out of the cells, and fail if the tree of SIZE does not have it."""
    assert tile.level is not None
    cells = CELLS[tile.level]
    assert tile.end <= len(cells)
    return cells[tile.start : tile.end]


@pytest.mark.parametrize(("path", "parts"), VECTORS["paths"]["good"].items())
def test_good_paths(path: str, parts: tuple[int | None, int, int]) -> None:
    level, index, width = parts
    tile = Tile.parse(path)
    assert (tile.level, tile.index, tile.width) == (level, index, width)
    assert tile.path == path
    theirs = scales_tiles.tile_path(-1 if level is None else level, index, width % 256)
    assert "/".join(theirs) == path


@pytest.mark.parametrize("path", VECTORS["paths"]["bad"])
def test_bad_paths(path: str) -> None:
    with pytest.raises(TileError):
        Tile.parse(path)


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [(-1, 0, 256), (64, 0, 256), (0, -1, 256), (0, 2**55, 256), (0, 0, 0), (0, 0, 257)],
)
def test_impossible_tiles(level: int, index: int, width: int) -> None:
    with pytest.raises(TileError):
        Tile(level, index, width)


def test_what_a_tile_spans() -> None:
    assert (Tile(0, 2, 3).start, Tile(0, 2, 3).end) == (512, 515)
    assert (Tile(None, 1).start, Tile(None, 1).end) == (256, 512)


@pytest.mark.parametrize(("size", "paths"), VECTORS["trees"].items())
def test_the_tiles_that_a_size_implies(size: str, paths: list[str]) -> None:
    assert [tile.path for tile in (*tiles_of(int(size)), *bundles_of(int(size)))] == paths


def test_the_example_of_the_specification() -> None:
    """A tree of 70,000: 273 full and 112, one full and 17, and one of width 1."""
    by_level: dict[int | None, list[int]] = {}
    for tile in tiles_of(70_000):
        by_level.setdefault(tile.level, []).append(tile.width)
    assert by_level == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}
    assert [width_at(level, 70_000) for level in range(5)] == [112, 17, 1, 0, 0]
    assert [tile.width for tile in bundles_of(70_000)] == by_level[0]
    assert [tile.path for tile in tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]


@given(st.integers(0, 2**18))
def test_tiles_of_any_size(size: int) -> None:
    listed = list(tiles_of(size))
    assert len(set(listed)) == len(listed)
    for level in range(4):
        widths = [tile.width for tile in listed if tile.level == level]
        assert sum(widths) == size // 256**level
        assert widths[:-1] == [256] * (len(widths) - 1)
        assert width_at(level, size) == sum(widths) % 256


@given(tiles)
def test_path_round_trip(tile: Tile) -> None:
    assert Tile.parse(tile.path) == tile


@given(mutants(b"tile/0/x001/067.p/5"), st.text(max_size=40))
def test_mutated_paths(data: bytes, text: str) -> None:
    for path in (data.decode("utf-8", "surrogateescape"), text, "tile/0/" + text):
        try:
            assert Tile.parse(path).path == path
        except TileError:
            continue


def test_published_bundle() -> None:
    vector = load("public/tessera.json")
    leaves = [leaf.encode() for leaf in vector["leaves"]]
    bundle = encode_entries(leaves)
    assert bundle.hex().startswith(vector["bundle_begins"])
    assert decode_entries(bundle, len(leaves)) == leaves


def test_defective_bundles() -> None:
    vector = VECTORS["bundle"]
    good = [entry.encode() for entry in vector["entries"]]
    assert encode_entries(good).hex() == vector["hex"]
    assert decode_entries(bytes.fromhex(vector["hex"]), 3) == good
    for name, bad in vector["bad"].items():
        with pytest.raises(TileError, match="exactly"):
            pytest.fail(f"{name}: {decode_entries(bytes.fromhex(bad), 3)}")
    for count in (2, 4):
        with pytest.raises(TileError, match="exactly"):
            decode_entries(bytes.fromhex(vector["hex"]), count)


def test_limits_of_bundles() -> None:
    largest = [bytes(MAX_ENTRY_SIZE)] * 256
    assert decode_entries(encode_entries(largest), 256) == largest
    empty = [b""] * 256
    assert decode_entries(encode_entries(empty), 256) == empty
    with pytest.raises(TileError, match="65,535"):
        encode_entries([bytes(MAX_ENTRY_SIZE + 1)])
    for count in (-1, 0, 257):
        with pytest.raises(TileError, match="between 1 and 256"):
            decode_entries(bytes(2 * max(count, 0)), count)
        with pytest.raises(TileError, match="between 1 and 256"):
            encode_entries([b""] * count)


def test_limits_of_hash_tiles() -> None:
    assert decode_hashes(encode_hashes(LEAVES[:256]), 256) == LEAVES[:256]
    for count in (1, 3, 256):
        with pytest.raises(TileError, match="bytes long"):
            decode_hashes(b"".join(LEAVES[:2]), count)
    with pytest.raises(TileError, match="32 bytes"):
        encode_hashes([LEAVES[0], b"short"])
    for hashes in ([], LEAVES[:257]):
        with pytest.raises(TileError, match="between 1 and 256"):
            encode_hashes(hashes)
        with pytest.raises(TileError, match="between 1 and 256"):
            decode_hashes(b"".join(hashes), len(hashes))


@given(entries)
def test_bundle_round_trip(given_entries: list[bytes]) -> None:
    assert decode_entries(encode_entries(given_entries), len(given_entries)) == given_entries


@given(mutants(encode_entries([b"one", b"", b"three" * 9])), st.integers(0, 6))
def test_mutated_bundles(data: bytes, count: int) -> None:
    try:
        assert encode_entries(decode_entries(data, count)) == data
    except TileError:
        return


def test_proofs_out_of_tiles() -> None:
    for size in (1, 2, 255, 256, 257, 511, 65_535, 65_536, 65_537, SIZE):
        node, root = node_reader(read, size), root_of(LEAVES[:size])
        for index in {0, size // 3, 255, 256, size - 1} & set(range(size)):
            proof = prove_inclusion(index, size, node)
            verify_inclusion(leaf_hash(index.to_bytes(4)), index, size, proof, root)
        for old in {1, 255, 256, 257, size // 2, size - 1, size} & set(range(1, size + 1)):
            proof = prove_consistency(old, size, node)
            verify_consistency(old, size, root_of(LEAVES[:old]), root, proof)


def test_the_reader_asks_only_for_tiles_of_its_tree() -> None:
    asked: list[Tile] = []

    def watched(tile: Tile) -> list[bytes]:
        asked.append(tile)
        return read(tile)

    node = node_reader(watched, 600)
    implied = set(tiles_of(600))
    for index in range(600):
        prove_inclusion(index, 600, node)
    assert set(asked) <= implied
    assert len(asked) == len(set(asked)), "a tile was fetched twice"
    for height, index in ((0, 600), (3, 75), (10, 0), (-1, 0), (0, -1)):
        with pytest.raises(TileError, match="does not contain"):
            node(height, index)


@pytest.mark.parametrize("width", [0, 3, 5, 256])
def test_the_reader_refuses_a_tile_of_another_width(width: int) -> None:
    node = node_reader(lambda tile: LEAVES[:width], 4)
    with pytest.raises(TileError, match="width"):
        node(0, 0)


def test_second_opinion() -> None:
    """tlog-scales reads our tiles and reaches our proofs, roots and entries."""
    size = 1000
    files = {tile.path: encode_hashes(read(tile)) for tile in tiles_of(size)}
    for tile in bundles_of(size):
        files[tile.path] = encode_entries([i.to_bytes(4) for i in range(tile.start, tile.end)])

    class Files:
        def get(self, *path: str) -> bytes | None:
            return files.get("/".join(path))

    theirs = scales_reader.TilesReader(Files())
    theirs.set_size(size)
    node = node_reader(read, size)
    assert theirs.calculate_root_hash() == root_of(LEAVES[:size])
    for index in range(0, size, 7):
        assert theirs.get_entry(index) == index.to_bytes(4)
        found = theirs.get_inclusion_proof(index, size).node_hashes
        assert found == prove_inclusion(index, size, node)
        old = index + 1
        found = theirs.get_consistency_proof(old, size).node_hashes
        assert found == prove_consistency(old, size, node)
