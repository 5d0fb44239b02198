"""Duplicates are found whatever their number, in bounded memory."""

import random
import tracemalloc
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ledger_verifier.audit.unique import Duplicates


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abcdefgh")), max_size=30))
def test_every_pair_is_found(keys: list[tuple[int, str]]) -> None:
    duplicates = Duplicates()
    expected: dict[tuple[int, str], list[int]] = {}
    for position, (kind, key) in enumerate(keys):
        duplicates.add(kind, key, position)
        expected.setdefault((kind, key), []).append(position)
    found = sorted(duplicates.pairs())
    duplicates.close()
    assert found == sorted(
        (kind, before, after)
        for (kind, _), places in expected.items()
        for before, after in pairwise(places)
    )


def test_many_keys_and_a_few_pairs() -> None:
    """More records than the buffers hold, so that they are read back from the file."""
    duplicates = Duplicates()
    chosen = random.Random(2)
    twice = {chosen.randrange(400_000) for _ in range(20)}
    tracemalloc.start()
    for position in range(400_000):
        duplicates.add(0, str(position), position)
    for position in twice:
        duplicates.add(0, str(position), 400_000 + position)
    pairs = {(before, after) for _, before, after in duplicates.pairs()}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    duplicates.close()
    assert pairs == {(position, 400_000 + position) for position in twice}
    assert peak < 16 * 1024 * 1024
