"""The growing tree: the same roots, proofs and tiles as the verifier's own, at every size."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from ledger.log.tree import Cell, Tree
from ledger_verifier.formats.merkle import leaf_hash, root_of, verify_inclusion

LEAVES = [leaf_hash(n.to_bytes(4, "big")) for n in range(70_000)]


class Cells:
    """Cells as the store keeps them."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], bytes] = {}

    def add(self, cells: list[Cell]) -> None:
        for level, index, digest in cells:
            assert (level, index) not in self.kept
            self.kept[(level, index)] = digest

    def read(self, level: int, start: int, stop: int) -> list[bytes]:
        return [self.kept[(level, i)] for i in range(start, stop) if (level, i) in self.kept]


def test_every_size_has_the_root_of_its_leaves_and_proves_every_leaf() -> None:
    cells = Cells()
    tree = Tree(0, (), cells.read)
    for size in range(1, 300):
        cells.add(tree.extend([LEAVES[size - 1]]))
        root = root_of(LEAVES[:size])
        assert tree.root() == root
        for position in range(0, size, 7):
            verify_inclusion(LEAVES[position], position, size, tree.prove(position), root)


@given(st.lists(st.integers(0, 700), min_size=1, max_size=8))
def test_batches_do_not_matter_and_a_tree_resumes_from_its_edge(batches: list[int]) -> None:
    cells, done = Cells(), 0
    tree = Tree(0, (), cells.read)
    for count in batches:
        # As after a restart: nothing is in memory but the edge.
        tree = Tree(tree.size, tree.edge, cells.read)
        cells.add(tree.extend(LEAVES[done : done + count]))
        done += count
        root = root_of(LEAVES[:done])
        assert tree.root() == root
        for position in {0, done // 2, done - 1} if done else set():
            verify_inclusion(LEAVES[position], position, done, tree.prove(position), root)


def test_cells_are_the_tiles_of_three_levels() -> None:
    cells = Cells()
    tree = Tree(0, (), cells.read)
    for start in range(0, 70_000, 10_000):
        cells.add(tree.extend(LEAVES[start : start + 10_000]))
    counts = [sum(level == wanted for level, _ in cells.kept) for wanted in range(4)]
    assert counts == [70_000, 273, 1, 0]
    assert cells.kept[(1, 9)] == root_of(LEAVES[9 * 256 : 10 * 256])
    assert cells.kept[(2, 0)] == root_of(LEAVES[:65_536])
    assert hashlib.sha256(b"").digest() == Tree(0, (), cells.read).root()
