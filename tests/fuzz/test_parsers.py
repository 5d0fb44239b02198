"""Every parser that meets hostile bytes, with inputs by Hypothesis, and with bombs."""

import struct
import subprocess
import sys
import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.errors import BundleError
from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS, Target
from tests.verifier.formats.hostile import mutants

ROOT = Path(__file__).parents[2]
MEBIBYTE = 1 << 20
#: Targets of which one run is a whole verification.
SLOW = {
    "log bundle",
    "member of a log bundle",
    "case bundle",
    "certificate",
    "signed statement",
    "receipt",
    "checkpoint",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_altered_inputs(target: Target) -> None:
    good = target.good()
    for data in good:
        target.parse(data)

    @settings(max_examples=20 if target.name in SLOW else 100, deadline=None)
    @given(st.one_of(st.sampled_from(good).flatmap(mutants), st.binary(max_size=200)))
    def altered(data: bytes) -> None:
        target.hold(data)

    altered()


BOMBS = {
    "nested arrays": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 50_000 + b"0" + b"}" * 50_000,
    "a long integer": b"9" * 200_000,
    "a long member": b'{"' + b"a" * 300_000 + b'":1}',
    "many members": b"{" + b",".join(b'"m%d":0' % n for n in range(30_000)) + b"}",
    "many lines": b"\n" * 300_000,
    "many signatures": b"a\n1\nAAAA\n\n" + "— a AAAAAAAA\n".encode() * 20_000,
    "a huge size": b"ledger.test/hub\n" + b"9" * 4_000 + b"\nAAAA\n",
    "long base64": b"A" * 400_000,
    "escapes": b'{"a":"' + b"\\u0000" * 60_000 + b'"}',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=list(BOMBS))
@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_bombs_need_memory_in_proportion(target: Target, bomb: bytes) -> None:
    target.good()
    target.hold(b"")
    tracemalloc.start()
    try:
        target.hold(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MEBIBYTE + 40 * len(bomb)


def _end(count: int, size: int, offset: int) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, offset, 0)


@pytest.mark.parametrize(
    "data",
    [
        _end(0xFFFE, 46 * 0xFFFE, 0),
        _end(1, 0xFFFFFFFE, 0),
        _end(0, 0, 0xFFFFFFFE),
        b"\0" * MEBIBYTE + _end(1, MEBIBYTE, 0),
        seeds.log_bundle()[:-22] + _end(0xFFFE, 46 * 0xFFFE, 0),
    ],
    ids=["members", "directory", "offset", "empty directory", "count over content"],
)
def test_archives_that_promise_too_much(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BundleError):
            BundleReader(BytesIO(data))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MEBIBYTE


@pytest.mark.parametrize("name", ["policy", "planted"])
def test_the_fuzzer_finds_what_is_there_to_find(name: str, tmp_path: Path) -> None:
    """A short run over a parser is clean; one over a parser with a planted defect is not."""
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", "1"]
    done = subprocess.run(
        [*command, "--kept", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == (1 if name == "planted" else 0), done.stdout + done.stderr
    kept = [path.read_bytes() for path in tmp_path.glob("crash-*")]
    if name == "planted":
        assert len(kept) == 1
        assert kept[0].startswith(b"hub")
    else:
        assert kept == []
