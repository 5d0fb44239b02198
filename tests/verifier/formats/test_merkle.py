"""Trees and proofs: exhaustive at small sizes, against a literal reading of RFC 6962."""

import random
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tlog_scales import tlog

from ledger_verifier.formats.errors import FormatError, ProofError
from ledger_verifier.formats.merkle import (
    EMPTY_ROOT,
    CompactRange,
    leaf_hash,
    leaf_hashes,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.vectors import load

MAX = 300
FLIPPED_ALL = 16  # every bit of every proof up to this size; above it a fixed sample
LEAVES = leaf_hashes(f"leaf {index}".encode() for index in range(MAX))


@cache
def mth(start: int, end: int) -> bytes:
    """Return MTH(D[start:end]) as RFC 6962 section 2.1 defines it."""
    if start == end:
        return sha256(b"").digest()
    if end - start == 1:
        return LEAVES[start]
    middle = start + split(end - start)
    return sha256(b"\x01" + mth(start, middle) + mth(middle, end)).digest()


def split(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def path(index: int, start: int, end: int) -> list[bytes]:
    """Return PATH(index, D[start:end]) of section 2.1.1."""
    if end - start == 1:
        return []
    middle = start + split(end - start)
    if index < middle:
        return [*path(index, start, middle), mth(middle, end)]
    return [*path(index, middle, end), mth(start, middle)]


def subproof(old: int, start: int, end: int, whole: bool) -> list[bytes]:
    """Return SUBPROOF(old, D[start:end], whole) of section 2.1.2; `old` counts from `start`."""
    if old == end - start:
        return [] if whole else [mth(start, end)]
    k = split(end - start)
    if old <= k:
        return [*subproof(old, start, start + k, whole), mth(start + k, end)]
    return [*subproof(old - k, start + k, end, False), mth(start, start + k)]


def node(height: int, index: int) -> bytes:
    """Return a complete subtree, and fail if asked for one that is not of this tree."""
    start, end = index << height, (index + 1) << height
    assert end <= MAX
    return mth(start, end)


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    try:
        verify_inclusion(leaf, index, size, proof, root)
    except ProofError:
        return False
    return True


def consistent(old: int, new: int, before: bytes, after: bytes, proof: Sequence[bytes]) -> bool:
    try:
        verify_consistency(old, new, before, after, proof)
    except ProofError:
        return False
    return True


def flips(proof: Sequence[bytes], bits: Sequence[int]) -> Iterator[list[bytes]]:
    """Yield the proof with one bit flipped: each of `bits` in each hash."""
    for position, hash_ in enumerate(proof):
        number = int.from_bytes(hash_)
        for bit in bits:
            flipped = (number ^ (1 << bit)).to_bytes(32)
            yield [*proof[:position], flipped, *proof[position + 1 :]]


def test_published_hashes() -> None:
    vectors = load("public/merkle.json")["rfc6962"]
    assert EMPTY_ROOT.hex() == vectors["empty"] == root_of([]).hex() == CompactRange().root().hex()
    for leaf in vectors["leaves"]:
        assert leaf_hash(bytes.fromhex(leaf["data"])).hex() == leaf["hash"]
        assert leaf_hashes([bytes.fromhex(leaf["data"])])[0].hex() == leaf["hash"]
    for inner in vectors["nodes"]:
        left, right = bytes.fromhex(inner["left"]), bytes.fromhex(inner["right"])
        assert node_hash(left, right).hex() == inner["hash"]


def test_published_subtrees() -> None:
    vectors = load("public/merkle.json")["subtrees"]
    leaves = leaf_hashes(bytes((index,)) for index in range(vectors["size"]))
    hashes, proofs = sha256(), sha256()
    for end in range(vectors["size"] + 1):
        for start in range(end + 1):
            width = end - start
            if start % (1 << (width - 1).bit_length() if width else 1):
                continue
            hashes.update(f"[{start}, {end}) {root_of(leaves[start:end]).hex()}\n".encode())
            # Such a subtree is a tree of its own, and a proof within it one of that tree.
            own = leaves[start:end]
            made = cache(lambda h, i, own=own: root_of(own[i << h : (i + 1) << h]))
            for index in range(width):
                proof = prove_inclusion(index, width, made)
                line = [f"{start + index} [{start}, {end})", *(hash_.hex() for hash_ in proof)]
                proofs.update((" ".join(line) + "\n").encode())
    assert hashes.hexdigest() == vectors["hashes"]["sha256"]
    assert proofs.hexdigest() == vectors["inclusion"]["sha256"]


def test_every_leaf_of_every_tree() -> None:
    for size in range(1, MAX + 1):
        root = mth(0, size)
        for index in range(size):
            proof = prove_inclusion(index, size, node)
            assert proof == path(index, 0, size)
            verify_inclusion(LEAVES[index], index, size, proof, root)


def test_inclusion_refuses_every_wrong_statement() -> None:
    for size in range(1, 65):
        root = mth(0, size)
        for index in range(size):
            proof, leaf = path(index, 0, size), LEAVES[index]
            assert not included(leaf, index, size, [*proof, leaf], root)
            assert not included(leaf, index, size, [leaf, *proof], root)
            assert not included(leaf, index, size, [*proof, root], root)
            for gap in range(len(proof)):
                assert not included(leaf, index, size, proof[:gap] + proof[gap + 1 :], root)
            assert not included(leaf, index, size, proof, leaf_hash(root))
            assert not included(leaf_hash(leaf), index, size, proof, root)
            for other in {0, index - 1, index + 1, index ^ 1, size - 1, size, -1} - {index}:
                assert not included(leaf, other, size, proof, root)


def test_inclusion_refuses_every_flipped_bit() -> None:
    for size in range(1, FLIPPED_ALL + 1):
        root = mth(0, size)
        for index in range(size):
            proof = path(index, 0, size)
            for bad in flips(proof, range(256)):
                assert not included(LEAVES[index], index, size, bad, root)


def test_inclusion_refuses_flipped_bits_in_larger_trees() -> None:
    chosen = random.Random(6962)
    for size in range(FLIPPED_ALL + 1, MAX + 1):
        for index in chosen.sample(range(size), 8):
            for bad in flips(path(index, 0, size), chosen.sample(range(256), 2)):
                assert not included(LEAVES[index], index, size, bad, mth(0, size))


def test_every_pair_of_sizes() -> None:
    for new in range(1, MAX + 1):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, node)
            assert proof == subproof(old, 0, new, True)
            verify_consistency(old, new, mth(0, old), mth(0, new), proof)


def test_consistency_refuses_every_wrong_statement() -> None:
    for new in range(1, 65):
        after = mth(0, new)
        for old in range(1, new + 1):
            proof, before = subproof(old, 0, new, True), mth(0, old)
            assert not consistent(old, new, before, after, [*proof, before])
            assert not consistent(old, new, before, after, [before, *proof])
            assert not consistent(old, new, before, after, [*proof, after])
            for gap in range(len(proof)):
                assert not consistent(old, new, before, after, proof[:gap] + proof[gap + 1 :])
            assert not consistent(old, new, leaf_hash(before), after, proof)
            assert not consistent(old, new, before, leaf_hash(after), proof)
            assert old == new or not consistent(old, new, after, before, proof)
            for other in {old - 1, old + 1} - {0}:
                assert not consistent(other, new, before, after, proof)


def test_consistency_refuses_every_flipped_bit() -> None:
    for new in range(1, FLIPPED_ALL + 1):
        for old in range(1, new):
            before, after = mth(0, old), mth(0, new)
            for bad in flips(subproof(old, 0, new, True), range(256)):
                assert not consistent(old, new, before, after, bad)


def test_consistency_refuses_flipped_bits_in_larger_trees() -> None:
    chosen = random.Random(9162)
    for new in range(FLIPPED_ALL + 1, MAX + 1):
        for old in chosen.sample(range(1, new), 8):
            for bad in flips(subproof(old, 0, new, True), chosen.sample(range(256), 2)):
                assert not consistent(old, new, mth(0, old), mth(0, new), bad)


@pytest.mark.parametrize("new", [0, 1, 2, 7, 300])
def test_there_is_no_consistency_from_size_0(new: int) -> None:
    for proof in ([], [mth(0, new)], [EMPTY_ROOT, mth(0, new)]):
        with pytest.raises(ProofError, match="size 0"):
            verify_consistency(0, new, EMPTY_ROOT, mth(0, new), proof)
    with pytest.raises(ProofError, match="size 0"):
        prove_consistency(0, new, node)


@pytest.mark.parametrize(("old", "new"), [(2, 1), (-1, 1), (1, 2**63), (2**63, 2**63)])
def test_sizes_out_of_range(old: int, new: int) -> None:
    assert not consistent(old, new, LEAVES[0], LEAVES[0], [])
    with pytest.raises(ProofError):
        prove_consistency(old, new, node)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 1), (1, 1), (5, 4), (0, 2**63)])
def test_indexes_out_of_range(index: int, size: int) -> None:
    assert not included(LEAVES[0], index, size, [], LEAVES[0])
    with pytest.raises(ProofError):
        prove_inclusion(index, size, node)


def test_same_size_needs_same_root_and_no_proof() -> None:
    verify_consistency(5, 5, mth(0, 5), mth(0, 5), [])
    assert not consistent(5, 5, mth(0, 5), mth(0, 6), [])
    assert not consistent(5, 5, mth(0, 5), mth(0, 5), [mth(0, 5)])


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_hashes_of_another_length(length: int) -> None:
    odd = bytes(length)
    proof = path(2, 0, 5)
    assert not included(odd, 2, 5, proof, mth(0, 5))
    assert not included(LEAVES[2], 2, 5, [odd, *proof[1:]], mth(0, 5))
    assert not consistent(2, 5, odd, mth(0, 5), subproof(2, 0, 5, True))
    for call in (root_of, CompactRange().extend, lambda leaves: CompactRange(1, leaves)):
        with pytest.raises(ProofError, match="32 bytes"):
            call([odd])


def test_concatenation_of_two_hashes_is_no_leaf() -> None:
    """The prefixes keep a node from being passed off as an entry."""
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


def test_deep_trees_are_bounded() -> None:
    size = 2**63 - 1
    endless = [LEAVES[0]] * 64
    assert not included(LEAVES[0], 0, size, endless, LEAVES[0])
    assert not consistent(1, size, LEAVES[0], LEAVES[1], endless)
    assert len(prove_inclusion(0, size, lambda h, i: LEAVES[0])) == 63


def test_second_opinion() -> None:
    """tlog-scales accepts the same proofs; its own rules for size 0 are looser than ours."""
    for new in range(1, 70):
        for old in range(1, new):
            consistency = tlog.ConsistencyProof(old, new, prove_consistency(old, new, node))
            consistency.check(mth(0, old), mth(0, new))
        for index in range(new):
            inclusion = tlog.InclusionProof(index, new, prove_inclusion(index, new, node))
            inclusion.check(LEAVES[index], mth(0, new))


def test_compact_range_at_every_size() -> None:
    one_by_one = CompactRange()
    for size in range(MAX):
        assert one_by_one.root() == root_of(LEAVES[:size]) == mth(0, size)
        resumed = CompactRange(size, one_by_one.hashes)
        for chunk in (1, 2, 3, 37, 256):
            longer = resumed.copy()
            longer.extend(LEAVES[size : size + chunk])
            end = min(size + chunk, MAX)
            assert (longer.size, longer.root()) == (end, mth(0, end))
        assert (resumed.size, resumed.hashes) == (size, one_by_one.hashes)
        one_by_one.append(LEAVES[size])


@given(st.lists(st.integers(0, 90), max_size=8))
def test_extending_in_any_pieces_is_the_same(pieces: list[int]) -> None:
    growing, size = CompactRange(), 0
    for piece in pieces:
        growing.extend(LEAVES[size : size + piece])
        size = min(size + piece, MAX)
        whole = CompactRange()
        whole.extend(LEAVES[:size])
        assert (growing.size, growing.hashes, growing.root()) == (
            *(size, whole.hashes),
            mth(0, size),
        )


def test_compact_range_refuses_the_wrong_number_of_hashes() -> None:
    for size in (*range(40), 2**62, 2**63 - 1):
        for count in {0, 1, size.bit_count() - 1, size.bit_count() + 1} - {-1, size.bit_count()}:
            with pytest.raises(ProofError, match="edge hashes"):
                CompactRange(size, [LEAVES[0]] * count)
        assert CompactRange(size, [LEAVES[0]] * size.bit_count()).size == size
    for size in (-1, 2**63):
        with pytest.raises(ProofError, match="out of range"):
            CompactRange(size)


def test_refused_leaves_change_nothing() -> None:
    growing = CompactRange(3, (mth(0, 2), LEAVES[2]))
    with pytest.raises(ProofError):
        growing.extend([LEAVES[3], b"short", LEAVES[4]])
    assert (growing.size, growing.root()) == (3, mth(0, 3))


@settings(max_examples=200)
@given(
    st.integers(-1, 2**64),
    st.integers(-1, 2**64),
    st.lists(st.sampled_from([*LEAVES[:3], b"", b"x" * 33]), max_size=70),
)
def test_nothing_but_format_errors_escape(one: int, two: int, proof: list[bytes]) -> None:
    with pytest.raises(FormatError):
        verify_inclusion(LEAVES[0], one, two, proof, LEAVES[1])
    with pytest.raises(FormatError):
        verify_consistency(one, two, LEAVES[0], LEAVES[1], proof)


def test_defective_vectors() -> None:
    vectors = load("c2sp/proofs.json")
    leaves = leaf_hashes(entry.encode() for entry in vectors["entries"])
    root = root_of(leaves)
    assert root.hex() == vectors["root"]
    of, index = vectors["inclusion"], vectors["inclusion"]["index"]
    verify_inclusion(leaves[index], index, of["size"], list(map(bytes.fromhex, of["hashes"])), root)
    for name, hashes in of["bad"].items():
        proof = list(map(bytes.fromhex, hashes))
        assert not included(leaves[index], index, of["size"], proof, root), name
    of = vectors["consistency"]
    before = bytes.fromhex(of["old_root"])
    verify_consistency(of["old"], of["new"], before, root, list(map(bytes.fromhex, of["hashes"])))
    for name, hashes in of["bad"].items():
        proof = list(map(bytes.fromhex, hashes))
        assert not consistent(of["old"], of["new"], before, root, proof), name
