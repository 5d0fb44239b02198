"""Merkle trees of RFC 6962 section 2.1 over SHA-256, and their proofs.

    leaf = H(0x00 || data)      node = H(0x01 || left || right)      empty tree = H("")

and a tree of n leaves splits at the largest power of two below n. Verification follows RFC 9162
sections 2.1.3.2 and 2.1.4.2. A proof is accepted only if it has exactly as many hashes as the two
sizes demand, and a consistency proof from size 0 is refused even when both roots are equal: the
empty tree is a prefix of every tree, so such a "proof" would say nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from ledger_verifier.formats.errors import ProofError
from ledger_verifier.formats.text import MAX_NUMBER

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of the tree without leaves."""

NodeReader = Callable[[int, int], bytes]
"""`node(height, index)` returns the hash of the index-th complete subtree of 2**height leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one entry."""
    return sha256(b"\x00" + data).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Return the hash of every entry, in order."""
    hash_, prefix = sha256, b"\x00"
    return [hash_(prefix + data).digest() for data in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an interior node."""
    return sha256(b"\x01" + left + right).digest()


def _parents(level: Sequence[bytes]) -> list[bytes]:
    """Hash a level pair by pair; an odd last node is left out."""
    hash_, prefix = sha256, b"\x01"
    pairs = zip(level[::2], level[1::2], strict=False)
    return [hash_(prefix + left + right).digest() for left, right in pairs]


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the root of the tree with these leaf hashes; `EMPTY_ROOT` if there are none.

    Raises ProofError if one of them is not 32 bytes long.
    """
    level = _checked(leaf_hashes)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        # An odd last node has no sibling until a higher level: it moves up unhashed.
        parents = _parents(level)
        if len(level) & 1:
            parents.append(level[-1])
        level = parents
    return level[0]


def _checked(hashes: Iterable[bytes]) -> list[bytes]:
    listed = list(hashes)
    if listed and set(map(len, listed)) != {HASH_SIZE}:
        raise ProofError("a hash is not 32 bytes long")
    return listed


class CompactRange:
    """The right edge of a growing tree: enough to append to it and to know its root.

    Holds the roots of the complete subtrees that the binary digits of `size` name, largest first,
    so at most 63 hashes whatever the size.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Resume at `size` leaves; raises ProofError unless there is one hash per digit 1."""
        if not 0 <= size <= MAX_NUMBER:
            raise ProofError("the tree size is out of range")
        self._hashes = _checked(hashes)
        self._size = size
        if len(self._hashes) != size.bit_count():
            raise ProofError(f"a tree of {size} leaves has {size.bit_count()} edge hashes")

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The roots of the complete subtrees, the largest (leftmost) first."""
        return tuple(self._hashes)

    def append(self, leaf_hash: bytes) -> None:
        """Add one leaf hash; raises ProofError if it is not 32 bytes long."""
        self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaf hashes in order; raises ProofError, and adds none, if one is not 32 bytes."""
        level = _checked(leaf_hashes)
        added = len(level)
        edge, rest = self._hashes, self._size
        kept: list[bytes] = []  # the new edge hashes below `edge`, smallest first
        # At each height an edge hash is a left child that waits: the first new node completes it.
        while level:
            if rest & 1:
                level.insert(0, edge[-1])
                edge = edge[:-1]
            if len(level) & 1:
                kept.append(level[-1])
            level = _parents(level)
            rest >>= 1
        kept.reverse()
        self._hashes = edge + kept
        self._size += added

    def root(self) -> bytes:
        """Return the root of the tree; `EMPTY_ROOT` while it has no leaves."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for left in self._hashes[-2::-1]:
            root = node_hash(left, root)
        return root

    def copy(self) -> "CompactRange":
        """Return an independent range of the same tree."""
        return CompactRange(self._size, self._hashes)


def _subtree(start: int, end: int, node: NodeReader) -> bytes:
    """Return the root over leaves start to end, where start is a multiple of a power of two
    that is at least end - start (as every subtree of a proof is)."""
    root: bytes | None = None
    width = end - start
    while width:
        # The last complete subtree is the one of the lowest digit: fold from the right.
        size = width & -width
        width -= size
        left = node(size.bit_length() - 1, (start + width) // size)
        root = left if root is None else node_hash(left, root)
    if root is None:
        raise ProofError("an empty range has no subtree")
    return root


def _split(size: int) -> int:
    """Return the largest power of two below `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def prove_inclusion(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Return the path of leaf `index` in the tree of `size` leaves, the leaf's sibling first.

    Raises ProofError if the tree has no such leaf.
    """
    _check_index(index, size)
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(middle, end, node))
            end = middle
        else:
            path.append(_subtree(start, middle, node))
            start = middle
    path.reverse()
    return path


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the tree of `size` leaves with this root has this leaf hash at `index`.

    Raises ProofError if it is not shown.
    """
    _check_index(index, size)
    _checked((leaf, root, *proof))
    position, last = index, size - 1
    computed = leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof has too many hashes")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise ProofError("the inclusion proof has too few hashes")
    if computed != root:
        raise ProofError("the inclusion proof does not lead to the root")


def prove_consistency(old: int, new: int, node: NodeReader) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is a prefix of the one of `new` leaves.

    Raises ProofError unless 0 < old <= new.
    """
    _check_sizes(old, new)
    path: list[bytes] = []
    start, end = 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_subtree(middle, end, node))
            end = middle
        else:
            path.append(_subtree(start, middle, node))
            start = middle
    if start:
        # Otherwise the old tree is itself a complete subtree, and its root is known already.
        path.append(_subtree(start, end, node))
    path.reverse()
    return path


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `old` leaves is a prefix of the tree of `new` leaves.

    Raises ProofError if it is not shown.
    """
    _check_sizes(old, new)
    hashes = _checked((old_root, new_root, *proof))[2:]
    if old == new:
        if hashes:
            raise ProofError("the consistency proof has too many hashes")
        if old_root != new_root:
            raise ProofError("two trees of one size have different roots")
        return
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise ProofError("the consistency proof has too few hashes")
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_computed = new_computed = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError("the consistency proof has too many hashes")
        if position & 1 or position == last:
            old_computed = node_hash(sibling, old_computed)
            new_computed = node_hash(sibling, new_computed)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_computed = node_hash(new_computed, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise ProofError("the consistency proof has too few hashes")
    if old_computed != old_root:
        raise ProofError("the consistency proof does not lead to the old root")
    if new_computed != new_root:
        raise ProofError("the consistency proof does not lead to the new root")


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size <= MAX_NUMBER:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")


def _check_sizes(old: int, new: int) -> None:
    if old == 0:
        raise ProofError("there is no consistency proof from size 0")
    if not 0 < old <= new <= MAX_NUMBER:
        raise ProofError(f"size {old} is no earlier size of a tree of {new} leaves")
