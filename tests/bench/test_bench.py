"""Every part of `make bench`, with as little work as it can be given."""

from pathlib import Path

import orjson
import pytest

from bench.append import append_rows, growth_rows
from bench.erasures import erasure_rows
from bench.peers import chain_row, eventsourcing_row
from bench.proofs import proof_rows
from bench.result import Row, markdown, save
from bench.verify import verify_rows
from tests.conftest import MakeDatabase


def found(rows: list[Row], part: str) -> list[Row]:
    return [row for row in rows if part in row.name]


def test_recording() -> None:
    rows = append_rows(None, 64, rounds=1)
    assert [row.ratio for row in found(rows, "no-op, 64 clients") if row.unit == "events/s"] == [1]
    assert len(found(rows, "p99")) == 3
    assert all(row.value > 0 for row in rows)


def test_growth_and_disk() -> None:
    rows = growth_rows([200])
    entry, disk = found(rows, "entry, mean")[0], found(rows, "on disk")[0]
    assert disk.ratio is not None
    assert disk.ratio > 1
    assert disk.ratio == pytest.approx(disk.value / entry.value)


def test_erasures() -> None:
    rows = erasure_rows(60, 64, rounds=1)
    assert found(rows, "erasures meanwhile")[0].value == 100
    assert found(rows, "p99, beside erasures")[0].ratio is not None


def test_peers(postgres: MakeDatabase) -> None:
    assert chain_row(postgres(), 16).value > 0
    assert eventsourcing_row(5).value > 0


def test_proofs() -> None:
    assert [row.unit for row in proof_rows(50)] == ["proofs/s", "proofs/s"]


def test_verification() -> None:
    rows = verify_rows(300, rounds=1)
    assert found(rows, "two processes")
    (bundle,) = [row for row in found(rows, "verified, log bundle") if row.unit == "s CPU"]
    assert bundle.ratio is not None
    assert bundle.ratio > 1


def test_the_table_and_the_file_say_the_same(tmp_path: Path) -> None:
    rows = [Row("a thing", 1234.5, "events/s", 0.5, "another")]
    save(rows, tmp_path / "rows.json")
    assert orjson.loads((tmp_path / "rows.json").read_bytes())["rows"][0]["value"] == 1234.5
    assert "| a thing | 1,234.5 | events/s | 0.50 | another |" in markdown(rows, 60)
