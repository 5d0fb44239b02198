"""One figure of a benchmark, and how all of them are shown and kept."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """A figure with its unit, and its ratio to another figure of the same run."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    ratio_to: str | None = None


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    return {
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table."""
    table = Table("what", "figure", "unit", "ratio", "to", title="Hub Ledger benchmarks")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.name, f"{row.value:,.1f}", row.unit, ratio, row.ratio_to or "")
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()))


def markdown(rows: Sequence[Row], seconds: float) -> str:
    """The table as a page can hold it, with the machine and the time the run took."""
    lines = [
        f"Measured in {seconds / 60:.0f} minutes, on: "
        + ", ".join(f"{name} {value}" for name, value in machine().items())
        + ".",
        "",
        "| what | figure | unit | ratio | to |",
        "|---|---:|---|---:|---|",
    ]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(
            f"| {row.name} | {row.value:,.1f} | {row.unit} | {ratio} | {row.ratio_to or ''} |"
        )
    return "\n".join(lines) + "\n"


def save(rows: Sequence[Row], path: Path) -> None:
    """Write machine and rows as one JSON file."""
    found = {"machine": machine(), "command": sys.argv[1:], "rows": [asdict(row) for row in rows]}
    path.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
