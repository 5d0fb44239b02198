"""The matrix as tables in Markdown, lined up so that they read well as text too."""

from collections.abc import Sequence

from tests.tamper.matrix import Row

HEADINGS = ("attack", "against", "instances", "caught", "located", "what the verdict says of one")
CONTROL_HEADINGS = ("no attack", "against", "instances", "found clean")
#: Longest message shown.
WIDTH = 110


def attacks_table(rows: Sequence[Row]) -> str:
    """One line for each kind of attack, summed over what it was tried against."""
    lines = []
    for kind, group in _by_kind(rows).items():
        example = next((row.example for row in group if row.example), "")
        if len(example) > WIDTH:
            example = example[: WIDTH - 1] + "…"
        counts = [(row.instances, row.caught, row.located) for row in group]
        sums = [str(sum(column)) for column in zip(*counts, strict=True)]
        lines.append((kind, _against(group), *sums, example.replace("|", "\\|")))
    return _markdown(HEADINGS, lines)


def controls_table(rows: Sequence[Row]) -> str:
    """One line for each control."""
    lines = [
        (
            kind,
            _against(group),
            str(sum(row.instances for row in group)),
            str(sum(row.clean for row in group)),
        )
        for kind, group in _by_kind(rows).items()
    ]
    return _markdown(CONTROL_HEADINGS, lines)


def _by_kind(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.kind, []).append(row)
    return groups


def _against(group: Sequence[Row]) -> str:
    return ", ".join(row.against for row in group)


def _markdown(headings: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in (headings, rule, *lines)
    )
