"""(d): inclusion proofs made by the growing tree, and checked by the verifier, a second."""

import time

from bench.result import Row
from ledger.log.tree import Tree
from ledger_verifier.formats.merkle import leaf_hash, verify_inclusion

LEAVES = 100_000


def proof_rows(proofs: int) -> list[Row]:
    """Proofs for the newest leaves of a tree of 100,000, as receipts are made."""
    tree = Tree(0, (), lambda _level, _start, _stop: [])
    leaves = [leaf_hash(n.to_bytes(4, "big")) for n in range(LEAVES)]
    tree.extend(leaves)
    root, first = tree.root(), LEAVES - proofs
    tree.prove(first)
    start = time.perf_counter()
    made = [tree.prove(position) for position in range(first, LEAVES)]
    making = proofs / (time.perf_counter() - start)
    start = time.perf_counter()
    for position, proof in zip(range(first, LEAVES), made, strict=True):
        verify_inclusion(leaves[position], position, LEAVES, proof, root)
    checking = proofs / (time.perf_counter() - start)
    name = f"in a tree of {LEAVES:,}"
    return [
        Row(f"inclusion proofs made, {name}", making, "proofs/s"),
        Row(f"inclusion proofs checked, {name}", checking, "proofs/s"),
    ]
