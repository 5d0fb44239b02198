"""The report for people at a terminal: the verdict first, then what failed and what holds.

Guarantees: text from outside (labels, origins, reasons) is printed as it is, never read as markup
or as control codes of a terminal.
"""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from ledger_verifier.audit.report.build import when
from ledger_verifier.audit.report.model import Failure, Report, Verdict
from ledger_verifier.audit.report.words import counts

_STYLES = {
    Verdict.VERIFIED: "bold green",
    Verdict.UNWITNESSED: "bold yellow",
    Verdict.UNVERIFIABLE: "bold yellow",
    Verdict.FAILED: "bold red",
}
_MEANINGS = {
    Verdict.VERIFIED: "intact, and witnessed as the policy asks",
    Verdict.UNWITNESSED: "intact, but resting on the controller's word: the witnesses that the "
    "policy asks for have not signed",
    Verdict.UNVERIFIABLE: "it cannot be told: something needed for the check is missing",
    Verdict.FAILED: "it does not hold together",
}


def print_report(report: Report, console: Console) -> None:
    """Print the whole report."""
    meaning = _MEANINGS[report.verdict]
    if report.verdict is Verdict.VERIFIED and report.checkpoint and not report.checkpoint.quorum:
        meaning = "intact; the policy asks for no witness"
    _line(console, f"{report.verdict.value}: {report.subject} - {meaning}", _STYLES[report.verdict])
    if report.failures:
        _line(console, "\nWhat failed", "bold")
        _list(console, map(_failure, report.failures))
        rest = report.failure_count - len(report.failures)
        if rest > 0:
            _line(console, f"  and {rest} more")
        _line(console, "\nWhat remains provable", "bold")
        _list(console, [report.provable])
    _section(console, "What is missing", report.lacking)
    _checkpoint(console, report)
    lines = tuple(compared.words for compared in report.compared)
    _section(console, "Compared with what was seen earlier", lines)
    said = tuple(f"{found.get('severity')}: {found.get('says')}" for found in report.conduct)
    _section(console, "Conduct: indications for a person to weigh, not determinations", said)
    numbers = tuple(f"{name}: {number}" for name, number in counts(report.checked))
    _section(console, "Checked", numbers)
    _section(console, "Shown", report.shown)
    _section(console, "Not shown", report.not_shown)
    _section(console, "Not assessed", report.not_assessed)
    for raw in report.evidence:
        _line(console, "\nSigned checkpoint, to be kept as evidence", "bold")
        _line(console, raw.rstrip("\n"))
    _line(
        console,
        f"\nPolicy file SHA-256 {report.policy_sha256} "
        "(it must have reached you by another road than the log)",
    )
    _line(
        console, f"ledger-verify {report.verifier_version}, source SHA-256 {report.verifier_sha256}"
    )


def _checkpoint(console: Console, report: Report) -> None:
    checkpoint = report.checkpoint
    if checkpoint is None:
        return
    quorum = checkpoint.quorum or "none asked for"
    lines = [
        f"origin {checkpoint.origin}",
        f"size {checkpoint.size}",
        f"root {checkpoint.root}",
        f"quorum of witnesses: {quorum}"
        + (
            "" if checkpoint.quorum is None else " - met" if checkpoint.quorum_met else " - not met"
        ),
    ]
    for signature in checkpoint.signatures:
        at = "" if signature.time is None else f", dated {when(signature.time)}"
        lines.append(f"signed by {signature.role} {signature.name}: {signature.algorithm}{at}")
    _section(console, "Checkpoint", tuple(lines))


def _failure(failure: Failure) -> str:
    place = []
    if failure.position is not None:
        several = failure.last not in (None, failure.position)
        place.append(f"{'positions' if several else 'position'} {failure.where}")
    if failure.stream is not None:
        place.append(f"stream {failure.stream}")
    if failure.field is not None:
        place.append(f"field {failure.field}")
    if failure.tile is not None:
        place.append(failure.tile)
    return f"{', '.join(place)}: {failure.reason}" if place else failure.reason


def _section(console: Console, title: str, lines: tuple[str, ...]) -> None:
    if lines:
        _line(console, f"\n{title}", "bold")
        _list(console, lines)


def _list(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        _line(console, f"  {line}")


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style=style), soft_wrap=True)


def printable(text: str) -> str:
    """The text without what a terminal would take for a command."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
