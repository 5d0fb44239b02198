"""The figure of the HTML report: where in the log the faults are, drawn and as a table.

Guarantees: what is drawn is in the table beside it, number for number. A place is drawn wherever a
failure names one; where nothing is drawn, the figure says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger_verifier.audit.report.markup import Markup, element, joined, table
from ledger_verifier.audit.report.model import Failure, Report
from ledger_verifier.formats.errors import TileError
from ledger_verifier.formats.tiles import TILE_WIDTH, Tile

#: Units across the drawing; a browser stretches them to the width of the page.
_WIDTH: Final = 1000
_HEIGHT: Final = 28


@dataclass(frozen=True, slots=True)
class Span:
    """Entries from `first` up to, not including, `end`."""

    first: int
    end: int

    @property
    def words(self) -> str:
        last = self.end - 1
        return f"{self.first}" if self.first == last else f"{self.first} to {last}"


@dataclass(frozen=True, slots=True)
class _Lane:
    label: str
    kind: str
    spans: Sequence[Span]


def figure(report: Report) -> Markup | None:
    """The figure, or None where there is nothing that a drawing would show better than words."""
    size = report.tree_size
    if not size:
        return None
    entries, tiles = faulty_entries(report.failures), faulty_tiles(report.failures, size)
    if not entries and not tiles and report.confirmed is None:
        return None
    lanes = [_Lane("The log that was signed", "whole", [Span(0, size)])]
    if report.confirmed:
        label = "The same as at an earlier checkpoint"
        lanes.append(_Lane(label, "same", [Span(0, report.confirmed)]))
    if entries:
        lanes.append(_Lane("Entries named in the failures", "wrong", entries))
    if tiles:
        label = "Stretches under the tiles named in the failures"
        lanes.append(_Lane(label, "wrong", tiles))
    rows = [(lane.label, span.words) for lane in lanes for span in lane.spans]
    drawing = [_drawn(lane, size) for lane in lanes]
    names = (element("span", "entry 0"), element("span", f"entry {size - 1}"))
    ends = element("p", *names, class_="ends")
    caption = element("figcaption", "Where in the log, from its first entry to its last")
    parts = [
        element("figure", caption, *drawing, ends),
        table("The figure in numbers", ("What", "Entries"), rows, "numbers"),
    ]
    if tiles:
        note = "A stretch says where to look, not that every entry in it is wrong."
        parts.insert(1, element("p", note))
    return joined(parts, "\n")


def faulty_entries(failures: Sequence[Failure]) -> list[Span]:
    """Positions that the failures name, neighbours together."""
    spans: list[Span] = []
    named = {
        (f.position, f.position if f.last is None else f.last)
        for f in failures
        if f.position is not None
    }
    for first, last in sorted(named):
        if spans and spans[-1].end >= first:
            spans[-1] = Span(spans[-1].first, max(spans[-1].end, last + 1))
        else:
            spans.append(Span(first, last + 1))
    return spans


def faulty_tiles(failures: Sequence[Failure], size: int) -> list[Span]:
    """The entries under each tile or bundle that a failure names without a position."""
    spans: set[tuple[int, int]] = set()
    for failure in failures:
        if failure.tile is None or failure.position is not None:
            continue
        try:
            tile = Tile.parse(failure.tile)
        except TileError:
            continue
        under = 1 if tile.level is None else TILE_WIDTH**tile.level
        first, end = tile.start * under, min(tile.end * under, size)
        if first < end:
            spans.add((first, end))
    return [Span(first, end) for first, end in sorted(spans)]


def _drawn(lane: _Lane, size: int) -> Markup:
    shapes = []
    for span in lane.spans:
        first = _WIDTH * min(span.first, size) / size
        width = _WIDTH * min(span.end, size) / size - first
        shapes.append(
            element(
                "rect", class_=lane.kind, x=_units(first), y=0, width=_units(width), height=_HEIGHT
            )
        )
        if lane.kind == "wrong":
            # One entry of a million is thinner than a pixel: a line of fixed width shows it.
            middle = _units(min(max(first + width / 2, 2), _WIDTH - 2))
            shapes.append(
                element(
                    "line",
                    class_=lane.kind,
                    x1=middle,
                    x2=middle,
                    y1=0,
                    y2=_HEIGHT,
                    stroke_width=3,
                    vector_effect="non-scaling-stroke",
                )
            )
    words = f"{lane.label}: {_summary(lane.spans)}"
    drawing = element(
        "svg",
        *shapes,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=words,
    )
    return element("div", element("p", words), drawing, class_="lane")


def _summary(spans: Sequence[Span]) -> str:
    shown = ", ".join(span.words for span in spans[:5])
    return shown if len(spans) <= 5 else f"{shown} and {len(spans) - 5} more"


def _units(value: float) -> str:
    """A length with two decimals at most, the same on every machine."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
