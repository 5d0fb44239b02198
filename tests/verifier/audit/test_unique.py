"""Duplicates are found whatever their number, in bounded memory."""

import random
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_verifier.audit import unique
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


def test_many_keys_and_a_few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """More records than the buffers hold, so that they are read back from the file: to keep them
    would take more than is allowed."""
    monkeypatch.setattr(unique, "_BUFFER", 1024)
    duplicates = Duplicates()
    chosen = random.Random(2)
    count = 50_000
    twice = {chosen.randrange(count) for _ in range(20)}
    tracemalloc.start()
    for position in range(count):
        duplicates.add(0, str(position), position)
    for position in twice:
        duplicates.add(0, str(position), count + position)
    pairs = {(before, after) for _, before, after in duplicates.pairs()}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    duplicates.close()
    assert pairs == {(position, count + position) for position in twice}
    assert peak < count * unique._RECORD * 3 // 4
