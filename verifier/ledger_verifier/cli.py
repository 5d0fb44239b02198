"""`ledger-verify`: verifies a log, bundle, receipt or erasure certificate, and says what it found.

Exit codes: 0 VERIFIED, 3 UNWITNESSED, 4 UNVERIFIABLE, 1 FAILED; 2 when the command, the policy or
another of the auditor's own files cannot be used, or when all is VERIFIED and the report could not
be printed or a file asked for could not be written. With `--json` exactly one object is printed to
standard output; everything that is not the report goes to standard error. The report is printed
before a file is written.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ledger_verifier.audit.case import verify_case
from ledger_verifier.audit.certificate import verify_certificate
from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.given import (
    Trust,
    UsageError,
    ends_as_bundle,
    is_kind,
    open_given,
    read_policy,
    trust,
)
from ledger_verifier.audit.identity import VERSION, source_sha256
from ledger_verifier.audit.kinds import LOOKED_AT, Kind, kind_of
from ledger_verifier.audit.outputs import Outputs, say, show
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.readers.http import HttpLogReader
from ledger_verifier.audit.readers.recording import RecordingReader
from ledger_verifier.audit.receipt import verify_receipt
from ledger_verifier.audit.report.build import failed_by_conduct, failed_report, unread_report
from ledger_verifier.audit.report.model import Report
from ledger_verifier.audit.state import StateError
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.certificate import CERTIFICATE
from ledger_verifier.formats.errors import BundleError

TOKEN_VARIABLE: Final = "LEDGER_TOKEN"  # noqa: S105 - the name of a variable
MAX_JOBS: Final = 64
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace, ExitStack, Outputs], Report] = arguments.run
    outputs = Outputs()
    try:
        with ExitStack() as stack:
            for name, replaced in (("save", False), ("state", True), ("html", False)):
                outputs.expect(getattr(arguments, name, None), replaced=replaced)
            report = run(arguments, stack, outputs)
            if getattr(arguments, "conduct_fails", False):
                report = failed_by_conduct(report)
            outputs.page(arguments.html)
            errors = [*show(report, as_object=arguments.json), *outputs.write(report)]
    except (UsageError, StateError) as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("interrupted, nothing was decided")
        return 130
    for reason in errors:
        say(reason)
    # A verdict that asks for attention is not hidden behind a file.
    return report.verdict.exit_code or (2 if errors else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ledger-verify",
        description="Verify a Hub Ledger log, bundle, receipt or erasure certificate without "
        "trusting whoever runs it.",
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
    log.add_argument(
        "--purpose",
        metavar="CODE",
        help="what the log is read for, where its keeper records that: s62-4-a to s62-4-d",
    )
    log.add_argument("--save", metavar="BUNDLE", help="keep what was read as a log bundle")
    log.set_defaults(run=_run_log)
    bundle = commands.add_parser(
        "bundle", parents=[whole], help="verify a bundle of a log or of a stream"
    )
    bundle.add_argument("file", metavar="FILE", help="the bundle")
    bundle.set_defaults(run=_run_bundle)
    receipt = commands.add_parser("receipt", parents=[common], help="verify one entry's receipt")
    receipt.add_argument("file", metavar="FILE", help="the receipt (.tlog-proof)")
    receipt.add_argument("--entry", metavar="FILE", required=True, help="the entry's exact bytes")
    receipt.set_defaults(run=_run_receipt)
    certificate = commands.add_parser(
        "certificate", parents=[common], help="verify an erasure certificate"
    )
    certificate.add_argument("file", metavar="FILE", help="the certificate")
    certificate.set_defaults(run=_run_certificate)
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


def _run_log(arguments: argparse.Namespace, stack: ExitStack, outputs: Outputs) -> Report:
    known = trust(arguments.policy, arguments.since, arguments.state)
    token = arguments.token or os.environ.get(TOKEN_VARIABLE) or None
    try:
        http = HttpLogReader(arguments.url, token, arguments.purpose)
    except ValueError as error:
        raise UsageError(str(error)) from error
    stack.callback(http.close)
    if (
        token
        and urlsplit(arguments.url).scheme == "http"
        and urlsplit(arguments.url).hostname not in _LOOPBACK
    ):
        say("warning: the token goes over the network unencrypted (http)")
    recording = stack.enter_context(RecordingReader(http)) if arguments.save else None
    options = Options(
        unique=arguments.unique,
        jobs=arguments.jobs,
        # What is not read cannot be saved.
        full=arguments.full or bool(arguments.save),
        policy_sha256=known.digest,
    )
    with _progress(arguments) as progress:
        report = verify_log(
            recording or http,
            known.policy,
            earlier=known.earlier,
            remembered=known.remembered,
            state=known.state,
            progress=progress,
            options=options,
        )
    outputs.bundle(recording, arguments.save)
    outputs.state(known.state, arguments.state)
    return report


def _run_bundle(arguments: argparse.Namespace, stack: ExitStack, outputs: Outputs) -> Report:
    known = trust(arguments.policy, arguments.since, arguments.state)
    path = Path(arguments.file)
    bundle = _open_bundle(path, "a bundle", known, stack)
    if isinstance(bundle, Report):
        return bundle
    if CERTIFICATE in bundle and not BundleLogReader.has_tiles(bundle):
        raise UsageError(
            f"{path.name} is an erasure certificate, not a bundle: check it with: "
            "ledger-verify certificate FILE --policy POLICY"
        )
    if not BundleLogReader.reads(bundle):
        report = verify_case(
            bundle,
            known.policy,
            earlier=known.earlier,
            remembered=known.remembered,
            state=known.state,
            policy_sha256=known.digest,
        )
    else:
        report = _verify_log_bundle(arguments, known, bundle)
    outputs.state(known.state, arguments.state)
    return report


def _open_bundle(path: Path, what: str, known: Trust, stack: ExitStack) -> BundleReader | Report:
    """The bundle in a file that is to be `what`, or the report on one that is damaged. Raises
    UsageError for a file that is none, and shows no trace of having been one."""
    file = stack.enter_context(open_given(path))
    try:
        begins = is_kind(Kind.BUNDLE, path, file.read(LOOKED_AT), what)
        ends = ends_as_bundle(file)
    except OSError as error:
        reason = f"{path.name} cannot be read: {error.strerror}"
        return unread_report("bundle", known.policy, known.digest, reason)
    if not begins and not ends:
        raise UsageError(
            f"{path.name} is not {what}: that is a ZIP archive, and this file neither begins nor "
            "ends as one does. It may be a page or a message that was saved under the name: look "
            "for the file that you were given, or ask for it again"
        )
    if not begins:
        reason = (
            f"{path.name} is not a bundle: a bundle is a ZIP archive, and this file does not "
            "begin as one does, though it ends so. Ask for the file again"
        )
        return unread_report("bundle", known.policy, known.digest, reason)
    try:
        return BundleReader(file)
    except BundleError as error:
        reason = (
            f"{error}. It was cut short, altered, or unpacked and packed again: ask for the "
            "file again"
        )
        return failed_report("bundle", known.policy, known.digest, reason)


def _run_certificate(arguments: argparse.Namespace, stack: ExitStack, _outputs: Outputs) -> Report:
    policy, digest = read_policy(arguments.policy)
    path = Path(arguments.file)
    bundle = _open_bundle(path, "an erasure certificate", Trust(policy, digest), stack)
    if isinstance(bundle, Report):
        return bundle
    if CERTIFICATE not in bundle:
        raise UsageError(
            f"{path.name} is a bundle, but not an erasure certificate: check it with: "
            "ledger-verify bundle FILE --policy POLICY"
        )
    return verify_certificate(bundle, policy, policy_sha256=digest)


def _verify_log_bundle(arguments: argparse.Namespace, known: Trust, bundle: BundleReader) -> Report:
    reader = BundleLogReader(bundle)
    options = Options(
        unique=arguments.unique,
        jobs=arguments.jobs,
        full=arguments.full,
        policy_sha256=known.digest,
        subject="log bundle",
        strays=reader.strays,
    )
    with _progress(arguments) as progress:
        report = verify_log(
            reader,
            known.policy,
            earlier=known.earlier,
            remembered=known.remembered,
            state=known.state,
            progress=progress,
            options=options,
        )
    if not reader.unread or "entries_before" in report.checked:
        return report
    unread = f"{reader.unread} members of the bundle, which no check asks for"
    return replace(report, not_assessed=(*report.not_assessed, unread))


def _run_receipt(arguments: argparse.Namespace, _stack: ExitStack, _outputs: Outputs) -> Report:
    policy, digest = read_policy(arguments.policy)
    contents: list[bytes] = []
    for name in (arguments.file, arguments.entry):
        try:
            with open_given(Path(name)) as file:
                contents.append(file.read(LOOKED_AT + 1))
        except OSError as error:
            reason = f"{Path(name).name} cannot be read: {error.strerror}"
            return unread_report("receipt", policy, digest, reason)
    receipt, entry = Path(arguments.file), Path(arguments.entry)
    kinds = [kind_of(raw, path) for raw, path in zip(contents, (receipt, entry), strict=True)]
    if kinds == [Kind.ENTRY, Kind.RECEIPT]:
        raise UsageError(
            "the two files are swapped: the receipt comes first, and the entry after --entry"
        )
    if not is_kind(Kind.RECEIPT, receipt, contents[0]):
        reason = (
            f"{receipt.name} is not a receipt: a receipt begins with the line "
            "c2sp.org/tlog-proof@v1. It may have been saved anew by an editor: look for the file "
            "as it was received"
        )
        return unread_report("receipt", policy, digest, reason)
    is_kind(Kind.ENTRY, entry, contents[1])
    return verify_receipt(contents[0], contents[1], policy, policy_sha256=digest)


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
