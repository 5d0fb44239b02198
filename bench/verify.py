"""How long the verifier takes, beside a bare root over the same bytes.

    python -m bench.verify --entries 1000000

The yardstick is the shortest Python that computes the root of RFC 6962 with `hashlib`: entries in
memory already, nothing read, parsed or compared. What is measured reads a log bundle from disk and
runs everything that `ledger-verify bundle` runs. Every measurement is a process of its own, so
that its peak memory is its own too; they take turns, and the median of the rounds counts. Ratios
are of processor time, all processes together, where one process works, and of elapsed time where
two do: processor time does not wait for other users of the machine.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Final

import orjson
from rich.console import Console

from bench.log import DirectoryReader, Made, make, write_log_bundle
from bench.result import Row, save, show
from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.readers import LogReader
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.audit.state import State
from ledger_verifier.audit.trust import accept
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.merkle import root_of
from ledger_verifier.formats.policy import Policy
from ledger_verifier.formats.tiles import bundles_of

ROUNDS: Final = 3
BARE: Final = "bare root"
#: Part of the log that is new to the kept state.
PARTS: Final = (100, 10)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of processor and clock, and the largest process, in MB."""

    processor: float
    clock: float
    peak: float


def bare_root(folder: Path, size: int) -> Cost:
    """The yardstick: reading is left out."""
    reader = DirectoryReader(folder)
    processor, clock = time.process_time(), time.perf_counter()
    lost_processor = lost_clock = 0.0
    leaves: list[bytes] = []
    for tile in bundles_of(size):
        before_processor, before = time.process_time(), time.perf_counter()
        entries = reader.entries(tile)
        lost_processor += time.process_time() - before_processor
        lost_clock += time.perf_counter() - before
        leaves += [sha256(b"\x00" + raw).digest() for raw in entries]
    root = root_of(leaves)
    used = time.process_time() - processor - lost_processor
    elapsed = time.perf_counter() - clock - lost_clock
    if root != _policy(folder).open(reader.checkpoint()).checkpoint.root:
        raise SystemExit("the log was not made as it should be")
    return Cost(used, elapsed, _peak())


def verification(folder: Path, how: str, size: int) -> Cost:
    """A run of the verifier: `bundle`, `tiles`, `two` (processes), or `since-<size>`."""
    policy = _policy(folder)
    earlier = how.removeprefix("since-")
    kept = folder / f"state-{earlier}"
    if earlier != how and not kept.exists():
        _keep_state(folder, policy, int(earlier), kept)
        # A process of its own: what it took to get there does not count.
        return _measured(folder, how, size)
    processor, clock = _processor(), time.perf_counter()
    state = State.load(kept) if earlier != how else None
    remembered = () if state is None else [accept(r, policy, "") for r in state.checkpoints()]
    options = Options(jobs=2 if how == "two" else 1)
    with (folder.parent / "log.bundle").open("rb") as file:
        reader: LogReader = DirectoryReader(folder)
        if how in ("bundle", "two"):
            reader = BundleLogReader(BundleReader(file))
        report = verify_log(reader, policy, state=state, remembered=remembered, options=options)
    if state is not None:
        state.save(folder / "state-after")
    cost = Cost(_processor() - processor, time.perf_counter() - clock, _peak())
    expected = size if state is None else size - int(earlier)
    if report.verdict is not Verdict.VERIFIED or report.checked["entries"] != expected:
        raise SystemExit(f"{how}: {report.verdict} {report.checked} {report.failures[:3]}")
    return cost


def _keep_state(folder: Path, policy: Policy, size: int, path: Path) -> None:
    state = State()
    verify_log(DirectoryReader(folder, size), policy, state=state)
    state.save(path)


def _policy(folder: Path) -> Policy:
    return Policy.parse((folder.parent / "policy").read_bytes())


def _processor() -> float:
    """Seconds of processor used by this process and those it has ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _peak() -> float:
    """Of this process's own memory: `ru_maxrss` begins with that of whoever started it."""
    status = Path("/proc/self/status").read_text()
    own = int(status.split("VmHWM:")[1].split()[0])
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def _measured(folder: Path, how: str, size: int) -> Cost:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "bench.verify", "--measure", how, str(folder)]
    done = subprocess.run(
        [*command, "--entries", str(size)], check=True, stdout=subprocess.PIPE, timeout=3600
    )
    return Cost(**orjson.loads(done.stdout))


def verify_rows(entries: int, rounds: int = ROUNDS) -> list[Row]:
    """Every figure for a log of so many entries."""
    sizes = [entries - entries // part for part in PARTS]
    with tempfile.TemporaryDirectory(prefix="hub-ledger-bench-") as folder:
        tiles = Path(folder) / "tiles"
        made = make(tiles, entries, earlier=sizes)
        (Path(folder) / "policy").write_bytes(made.policy.encode())
        write_log_bundle(tiles, Path(folder) / "log.bundle")
        ways = [BARE, "bundle", "tiles", "two", *(f"since-{size}" for size in sizes)]
        costs: dict[str, list[Cost]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                costs[way].append(_measured(tiles, way, entries))
        state = [(tiles / f"state-{size}").stat().st_size for size in sizes]
    return _rows(made, sizes, costs, state[0])


def _rows(
    made: Made, sizes: Sequence[int], costs: dict[str, list[Cost]], state_bytes: int
) -> list[Row]:
    many = f"{made.entries:,} entries"
    processor = {way: median(c.processor for c in found) for way, found in costs.items()}
    clock = {way: median(c.clock for c in found) for way, found in costs.items()}
    peak = {way: median(c.peak for c in found) for way, found in costs.items()}
    rows = [
        Row(f"{many}: bytes of an entry", made.entry_bytes / made.entries, "bytes"),
        Row(f"{many}: digests of an entry", made.digests / made.entries, ""),
        Row(f"{many}: streams", made.streams, ""),
        Row(f"{many}: {BARE}", processor[BARE], "s CPU"),
    ]
    names = {"bundle": "verified, log bundle", "tiles": "verified, directory of tiles"}
    for way, what in names.items():
        name = f"{many}: {what}"
        rows.append(Row(name, processor[way], "s CPU", processor[way] / processor[BARE], BARE))
        rows.append(Row(f"{name}, elapsed", clock[way], "s", clock[way] / clock[BARE], BARE))
        rows.append(Row(f"{name}, peak", peak[way], "MB"))
    name, one = f"{many}: two processes", clock["bundle"]
    rows.append(Row(f"{name}, elapsed", clock["two"], "s", clock["two"] / clock[BARE], BARE))
    rows.append(Row(f"{name}, beside one", clock["two"], "s", clock["two"] / one, "one process"))
    rows.append(Row(f"{name}, larger one's peak", peak["two"], "MB"))
    for size in sizes:
        way, new = f"since-{size}", made.entries - size
        ratio = processor[way] / processor["tiles"]
        name = f"{many}: {new:,} of them new to a kept state"
        rows.append(Row(name, processor[way], "s CPU", ratio, "all"))
        rows.append(Row(f"{name}, peak", peak[way], "MB"))
    rows.append(Row(f"{many}: state file", state_bytes / 2**20, "MB"))
    return rows


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.verify", description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    parser.add_argument("--measure", nargs=2, metavar=("HOW", "DIR"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        how, folder = arguments.measure[0], Path(arguments.measure[1])
        size = arguments.entries
        cost = bare_root(folder, size) if how == BARE else verification(folder, how, size)
        sys.stdout.buffer.write(orjson.dumps(asdict(cost)))
        return
    rows = verify_rows(arguments.entries, arguments.rounds)
    show(rows, Console())
    if arguments.json:
        save(rows, arguments.json)


if __name__ == "__main__":
    main()
