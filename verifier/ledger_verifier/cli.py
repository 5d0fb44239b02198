"""`ledger-verify`: verifies a log, a bundle or a receipt, and says what was found.

Exit codes: 0 VERIFIED, 3 UNWITNESSED, 4 UNVERIFIABLE, 1 FAILED; 2 when the command, the policy or
another of the auditor's own files cannot be used. With `--json` exactly one object is printed to
standard output; everything that is not the report goes to standard error.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.identity import VERSION, source_sha256
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.readers.http import HttpLogReader
from ledger_verifier.audit.readers.recording import RecordingReader
from ledger_verifier.audit.receipt import verify_receipt
from ledger_verifier.audit.report.as_json import as_json
from ledger_verifier.audit.report.build import failed_report, unread_report
from ledger_verifier.audit.report.model import Report
from ledger_verifier.audit.report.save import save_html
from ledger_verifier.audit.report.terminal import print_report
from ledger_verifier.audit.state import State, StateError
from ledger_verifier.audit.trust import Trusted, earlier_checkpoint
from ledger_verifier.formats.bundle import CHECKPOINT, MANIFEST, BundleReader
from ledger_verifier.formats.entry import MAX_ENTRY
from ledger_verifier.formats.errors import BundleError, FormatError
from ledger_verifier.formats.note import MAX_NOTE
from ledger_verifier.formats.policy import MAX_POLICY, Policy
from ledger_verifier.formats.proof import MAX_PROOF

TOKEN_VARIABLE: Final = "LEDGER_TOKEN"  # noqa: S105 - the name of a variable
MAX_JOBS: Final = 64
_ZIP_START: Final = b"PK\3\4"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class UsageError(Exception):
    """What the auditor gave cannot be used; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The policy, the digest of its file, and what the auditor knows from earlier."""

    policy: Policy
    digest: str
    earlier: tuple[Trusted, ...] = ()
    remembered: tuple[Trusted, ...] = ()
    state: State | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], Report] = arguments.run
    try:
        if arguments.html and Path(arguments.html).exists():
            raise UsageError(f"{arguments.html} exists already and is not overwritten")
        report = run(arguments)
    except (UsageError, StateError) as error:
        print(f"ledger-verify: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        print("ledger-verify: interrupted, nothing was decided", file=sys.stderr)  # noqa: T201
        return 130
    if arguments.json:
        sys.stdout.buffer.write(as_json(report))
        sys.stdout.buffer.flush()
    else:
        print_report(report, Console())
    if arguments.html:
        try:
            save_html(report, Path(arguments.html))
        except OSError as error:
            print(  # noqa: T201
                f"ledger-verify: {arguments.html} cannot be written: {error.strerror}",
                file=sys.stderr,
            )
            return 2
    return report.verdict.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ledger-verify",
        description="Verify a Hub Ledger log, bundle or receipt without trusting whoever runs it.",
        epilog="Exit codes: 0 VERIFIED, 3 UNWITNESSED, 4 UNVERIFIABLE, 1 FAILED, 2 wrong usage.",
    )
    version = f"ledger-verify {VERSION}, source SHA-256 {source_sha256()}"
    parser.add_argument("--version", action="version", version=version)
    common, whole = _common(), _whole()
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    log = commands.add_parser("log", parents=[whole], help="verify a live log over HTTP")
    log.add_argument("url", metavar="URL", help="the log's address, without /checkpoint")
    log.add_argument(
        "--token", help=f"token that may read entry bundles (default: ${TOKEN_VARIABLE})"
    )
    log.add_argument("--save", metavar="BUNDLE", help="keep what was read as a log bundle")
    log.set_defaults(run=_run_log)
    bundle = commands.add_parser("bundle", parents=[whole], help="verify a log or case bundle")
    bundle.add_argument("file", metavar="FILE", help="the bundle")
    bundle.set_defaults(run=_run_bundle)
    receipt = commands.add_parser("receipt", parents=[common], help="verify one entry's receipt")
    receipt.add_argument("file", metavar="FILE", help="the receipt (.tlog-proof)")
    receipt.add_argument("--entry", metavar="FILE", required=True, help="the entry's exact bytes")
    receipt.set_defaults(run=_run_receipt)
    return parser


def _common() -> argparse.ArgumentParser:
    """Options of every command."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--policy", metavar="FILE", required=True, help="trust policy: whose signatures count"
    )
    common.add_argument("--json", action="store_true", help="print one JSON object")
    common.add_argument(
        "--html", metavar="FILE", help="also write the report as a page, to read or to print"
    )
    return common


def _whole() -> argparse.ArgumentParser:
    """Options of the commands that verify more than one entry."""
    whole = argparse.ArgumentParser(add_help=False, parents=[_common()])
    whole.add_argument(
        "--since",
        metavar="FILE",
        action="append",
        default=[],
        help="a checkpoint, receipt or bundle of this log kept from earlier (repeatable)",
    )
    whole.add_argument(
        "--state",
        metavar="FILE",
        help="remember here what was seen, and from run to run read only what is new",
    )
    whole.add_argument(
        "--full", action="store_true", help="read everything, whatever the state file remembers"
    )
    whole.add_argument(
        "--jobs",
        metavar="N",
        type=_jobs,
        default=1,
        help="share the work among N processes (default 1; worth it from 200,000 entries or so)",
    )
    whole.add_argument(
        "--unique", action="store_true", help="also look for ids and digests that occur twice"
    )
    whole.add_argument(
        "--conduct-fails", action="store_true", help="findings on conduct fail the verdict too"
    )
    return whole


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_JOBS:
        raise argparse.ArgumentTypeError(f"not a number from 1 to {MAX_JOBS}")
    return int(text)


def _run_log(arguments: argparse.Namespace) -> Report:
    trust = _trust(arguments)
    token = arguments.token or os.environ.get(TOKEN_VARIABLE) or None
    with ExitStack() as stack:
        try:
            http = HttpLogReader(arguments.url, token)
        except ValueError as error:
            raise UsageError(str(error)) from error
        stack.callback(http.close)
        if (
            token
            and urlsplit(arguments.url).scheme == "http"
            and urlsplit(arguments.url).hostname not in _LOOPBACK
        ):
            print(  # noqa: T201
                "ledger-verify: warning: the token goes over the network unencrypted (http)",
                file=sys.stderr,
            )
        if arguments.save and Path(arguments.save).exists():
            raise UsageError(f"{arguments.save} exists already and is not overwritten")
        recording = stack.enter_context(RecordingReader(http)) if arguments.save else None
        options = Options(
            unique=arguments.unique,
            jobs=arguments.jobs,
            # What is not read cannot be saved.
            full=arguments.full or bool(arguments.save),
            policy_sha256=trust.digest,
        )
        with _progress(arguments) as progress:
            report = verify_log(
                recording or http,
                trust.policy,
                earlier=trust.earlier,
                remembered=trust.remembered,
                state=trust.state,
                progress=progress,
                options=options,
            )
        if recording is not None:
            _save(recording, Path(arguments.save))
    _remember(arguments, trust)
    return report


def _run_bundle(arguments: argparse.Namespace) -> Report:
    trust = _trust(arguments)
    path = Path(arguments.file)
    try:
        file = path.open("rb")
    except OSError as error:
        reason = f"{path.name} cannot be read: {error.strerror}"
        return unread_report("bundle", trust.policy, trust.digest, reason)
    with file:
        try:
            bundle = BundleReader(file)
        except BundleError as error:
            return failed_report("bundle", trust.policy, trust.digest, str(error))
        if MANIFEST in bundle:
            report = verify_case(
                bundle,
                trust.policy,
                earlier=trust.earlier,
                remembered=trust.remembered,
                state=trust.state,
                policy_sha256=trust.digest,
            )
        else:
            options = Options(
                unique=arguments.unique,
                jobs=arguments.jobs,
                full=arguments.full,
                policy_sha256=trust.digest,
                subject="log bundle",
            )
            reader = BundleLogReader(bundle)
            with _progress(arguments) as progress:
                report = verify_log(
                    reader,
                    trust.policy,
                    earlier=trust.earlier,
                    remembered=trust.remembered,
                    state=trust.state,
                    progress=progress,
                    options=options,
                )
            if reader.unread and "entries_before" not in report.checked:
                unread = f"{reader.unread} members of the bundle, which no check asks for"
                report = replace(report, not_assessed=(*report.not_assessed, unread))
    _remember(arguments, trust)
    return report


def _run_receipt(arguments: argparse.Namespace) -> Report:
    policy, digest = _policy(arguments.policy)
    contents: list[bytes] = []
    for name, limit in ((arguments.file, MAX_PROOF), (arguments.entry, MAX_ENTRY + 2)):
        try:
            contents.append(_read(Path(name), limit))
        except OSError as error:
            reason = f"{Path(name).name} cannot be read: {error.strerror}"
            return unread_report("receipt", policy, digest, reason)
    return verify_receipt(contents[0], contents[1], policy, policy_sha256=digest)


def _trust(arguments: argparse.Namespace) -> Trust:
    policy, digest = _policy(arguments.policy)
    earlier = tuple(_since(Path(name), policy) for name in arguments.since)
    if arguments.state is None:
        return Trust(policy, digest, earlier)
    path = Path(arguments.state)
    state = State.load(path)
    remembered = []
    for raw in state.checkpoints():
        try:
            known = earlier_checkpoint(raw, policy, "")
        except FormatError as error:
            raise UsageError(
                f"{path.name} remembers a checkpoint that this policy does not accept: {error}"
            ) from error
        label = f"the checkpoint of size {known.size} remembered in {path.name}"
        remembered.append(replace(known, label=label))
    return Trust(policy, digest, earlier, tuple(remembered), state)


def _policy(name: str) -> tuple[Policy, str]:
    try:
        raw = _read(Path(name), MAX_POLICY)
        policy = Policy.parse(raw)
    except OSError as error:
        raise UsageError(f"the policy {name} cannot be read: {error.strerror}") from error
    except FormatError as error:
        raise UsageError(f"the policy {name} cannot be used: {error}") from error
    if not policy.logs:
        raise UsageError(f"the policy {name} names no log")
    return policy, sha256(raw).hexdigest()


def _since(path: Path, policy: Policy) -> Trusted:
    try:
        with path.open("rb") as file:
            if file.read(len(_ZIP_START)) == _ZIP_START:
                raw = BundleReader(file).read(CHECKPOINT, MAX_NOTE)
            else:
                file.seek(0)
                raw = _bounded(file, MAX_PROOF)
        known = earlier_checkpoint(raw, policy, "")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except FormatError as error:
        raise UsageError(f"{path} cannot be used as an earlier checkpoint: {error}") from error
    return replace(known, label=f"the checkpoint of size {known.size} in {path.name}")


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return _bounded(file, limit)


def _bounded(file: BinaryIO, limit: int) -> bytes:
    """The content, or one byte more than `limit` of it, which its parser then refuses."""
    return file.read(limit + 1)


def _remember(arguments: argparse.Namespace, trust: Trust) -> None:
    if trust.state is not None and trust.state.changed:
        trust.state.save(Path(arguments.state))


def _save(recording: RecordingReader, path: Path) -> None:
    """Write the bundle beside its name and then give it that name, readable by its owner only:
    entries are personal data, if pseudonymous."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            saved = recording.save(file)
        if saved:
            temporary.replace(path)
        else:
            temporary.unlink()
    except (OSError, BundleError) as error:
        raise UsageError(f"{path} cannot be written: {error}") from error


@contextmanager
def _progress(arguments: argparse.Namespace) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error, when a person is looking."""
    console = Console(stderr=True)
    if arguments.json or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("entries", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show
