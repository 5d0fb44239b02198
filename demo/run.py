"""The demonstration: a year of two hubs recorded, checked, tampered with, and caught.

It uses the installed commands and the HTTP interface alone, as a hub, an auditor and an
operator would. It ends with 0 only if every step came out as it should.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from demo import figures
from demo.service import DemoError, serving
from demo.steps import Tour

SEED: Final = 867
"""The seed of the simulated year, after the number of the decision that funded Project Alpha."""


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="keep everything in this new directory")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the simulated year")
    parser.add_argument("--cases", type=int, default=figures.CASES, help="people identified")
    parser.add_argument("--referrals", type=int, default=figures.REFERRALS, help="content referred")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 if every step came out as it should, else 1."""
    options = _options(arguments)
    console = Console(highlight=False, soft_wrap=False)
    began = time.monotonic()
    work: Path = options.data or Path(tempfile.mkdtemp(prefix="hub-ledger-demo-"))
    try:
        work.mkdir(mode=0o700, parents=True, exist_ok=options.data is None)
        _walk(Tour(console, work, options.seed, options.cases, options.referrals))
    except (DemoError, FileExistsError) as error:
        console.print()
        console.print(Text(f"The demonstration stopped: {error}", style="bold red"))
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 130
    finally:
        if options.data is None:
            shutil.rmtree(work, ignore_errors=True)
    _farewell(console, options.data, time.monotonic() - began)
    return 0


def _walk(tour: Tour) -> None:
    tour.welcome()
    tour.open_ledger()
    with serving(tour.data, tour.log) as url:
        asyncio.run(tour.record_year(url))
        tour.verify_live(url)
        tour.verify_case(url)
        tour.verify_receipt(url)
        tour.erase_person(url)
        tour.catch_forger(url)
    tour.check_database()


def _farewell(console: Console, kept: Path | None, seconds: float) -> None:
    console.print()
    console.print(f"[bold green]Every step came out as it should[/], in {seconds:.0f} seconds.")
    console.print()
    console.print("What to run next:")
    if kept:
        console.print(f"  .venv/bin/hub-ledger serve --data {kept / 'ledger'} --port 8080")
    else:
        console.print("  make serve                     a service of your own on port 8080")
    console.print("  .venv/bin/ledger-verify --help the verifier, as an auditor runs it")
    console.print("  make test                      the whole test suite")
    console.print("  README.md, docs/verify.md      your first event; how to audit")
    console.print()
