"""Logs of which a part cannot be read: what is said of the rest, and that the rest is checked."""

from pathlib import Path

import pytest

from ledger_verifier.audit.engine import verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.report.as_html import as_html
from ledger_verifier.audit.report.as_json import as_object
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.tiles import encode_entries

from .conftest import SIZE, Verify
from .test_tampering import EVERYTHING_ELSE, altered, replace_entries
from .world import World, change_cell, change_entry, policy, write_log

TOGETHER = "the entries together are those that the checkpoint signs"


def unread_line(report: Report) -> str:
    """What the report says of the entries that could not be read."""
    lines = [line for line in report.not_assessed if "could not be read" in line]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("absent", ["tile/entries/001", "tile/entries/002.p/88"])
def test_entries_that_were_not_read_are_not_vouched_for(
    over_http: Verify, members: dict[str, bytes], absent: str
) -> None:
    del members[absent]
    change_cell(members, "tile/1/000.p/2", 0)
    report = over_http(members)
    first, last = (256, 511) if absent == "tile/entries/001" else (512, 599)
    assert report.verdict is Verdict.FAILED
    assert TOGETHER not in report.provable
    assert "every entry that was read" in report.provable
    assert unread_line(report) == (
        f"{last - first + 1} entries that could not be read: positions {first} to {last}"
    )
    assert as_object(report)["unread"] == [[first, last]]


def test_a_table_that_was_not_read_takes_nothing_from_the_entries(
    over_http: Verify, members: dict[str, bytes]
) -> None:
    del members["tile/1/000.p/2"]
    report = over_http(members)
    assert report.provable == TOGETHER
    assert as_object(report)["unread"] == []


def test_an_entry_without_bytes_counts_as_unread(
    over_http: Verify, members: dict[str, bytes]
) -> None:
    change_entry(members, SIZE, 300, b"")
    change_entry(members, SIZE, 301, b"")
    change_entry(members, SIZE, 400, b"")
    report = over_http(members)
    assert TOGETHER not in report.provable
    assert unread_line(report) == ("3 entries that could not be read: positions 300 to 301 and 400")


def test_the_rest_of_a_log_that_breaks_off(over_http: Verify, members: dict[str, bytes]) -> None:
    report = over_http({"checkpoint": members["checkpoint"]})
    assert as_object(report)["unread"] == [[0, SIZE - 1]]
    assert unread_line(report) == f"{SIZE} entries that could not be read: positions 0 to 599"


def test_a_changed_entry_beside_unread_ones(
    over_http: Verify, members: dict[str, bytes], world: World
) -> None:
    del members["tile/entries/002.p/88"]
    change_entry(members, SIZE, 300, altered(world.entries[300]))
    report = over_http(members)
    assert [f.position for f in report.failures] == [300, 512]
    assert EVERYTHING_ELSE not in report.provable
    assert report.provable.startswith("every entry that was read and is not listed")


def test_failures_that_are_not_all_listed(over_bundle: Verify, members: dict[str, bytes]) -> None:
    """What is not listed is vouched for only as far as the list goes."""
    world = World().fill(SIZE)
    replace_entries(members, [*world.entries[:300], *world.entries[301:], world.entries[300]])
    report = over_bundle(members)
    assert report.failure_count > len(report.failures)
    assert EVERYTHING_ELSE not in report.provable
    assert report.provable.startswith("every entry before position 300 is the one")


def damaged(path: Path, members: dict[str, bytes], name: str, at: int, value: int) -> Report:
    """A log bundle of these members in which one byte of a member was then changed."""
    write_log(members, path)
    raw = bytearray(path.read_bytes())
    place = raw.index(members[name]) + at
    assert raw[place] != value
    raw[place] = value
    path.write_bytes(raw)
    with path.open("rb") as file:
        return verify_log(BundleLogReader(BundleReader(file)), policy())


def test_a_damaged_archive_is_searched_for_the_entry(
    tmp_path: Path, members: dict[str, bytes], world: World
) -> None:
    raw, name = world.entries[300], "tile/entries/001"
    at = members[name].index(raw) + raw.index(b'"times":') + len(b'"times":')
    report = damaged(tmp_path / "b", members, name, at, ord("9"))
    assert report.verdict is Verdict.FAILED
    first, archive = report.failures
    assert (first.position, first.tile) == (300, None)
    assert "not the entry that the signed root has" in first.reason
    assert (archive.position, archive.tile) == (None, name)
    assert "checksum" in archive.reason
    assert name not in archive.reason
    assert report.checked["entries"] == SIZE
    assert EVERYTHING_ELSE in report.provable


def test_a_damaged_archive_with_a_table_of_hashes(
    tmp_path: Path, members: dict[str, bytes]
) -> None:
    name = "tile/0/001"
    report = damaged(tmp_path / "b", members, name, 5, members[name][5] ^ 1)
    assert {f.tile for f in report.failures} == {name}
    assert any("checksum" in f.reason for f in report.failures)
    assert any("cell 0 is not the hash" in f.reason for f in report.failures)
    assert report.provable == TOGETHER


def test_a_damaged_archive_that_cannot_be_cut_into_entries(
    tmp_path: Path, members: dict[str, bytes]
) -> None:
    """The length of the first entry is wrong: nothing after it can be found."""
    name = "tile/entries/001"
    report = damaged(tmp_path / "b", members, name, 0, 255)
    (failure,) = report.failures
    assert (failure.position, failure.last, failure.tile) == (256, 511, name)
    assert name not in failure.reason
    assert as_object(report)["failures"][0]["last"] == 511
    assert "entries 256 to 511" in as_html(report).decode()


def test_unread_ranges_are_bounded(over_bundle: Verify) -> None:
    """Every second entry is gone: the ranges listed stay few and cover all of them."""
    world = World().fill(1000)
    gone = [b"" if n % 2 and n > 3 else raw for n, raw in enumerate(world.entries)]
    members = world.members()
    for start in range(0, 1000, 256):
        width = min(256, 1000 - start)
        path = f"tile/entries/{start // 256:03d}" + (f".p/{width}" if width < 256 else "")
        members[path] = encode_entries(gone[start : start + width])
    ranges = as_object(over_bundle(members))["unread"]
    assert len(ranges) == 50
    assert ranges[0] == [5, 5]
    assert ranges[-1][1] == 999
