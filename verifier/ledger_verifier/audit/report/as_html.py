"""The report as one HTML file for people: it loads nothing, runs nothing, and prints well.

Guarantees: it says what the report says and no more, the verdict first; the same report gives the
same bytes (no time but those in the report is in it); every string is escaped (`markup`), and the
page's own policy lets no script, no other style and no request through, whatever a hostile log
holds. Written to meet WCAG 2.2 AA: headings in order, landmarks, table headers, no meaning in
colour alone, readable from 320 pixels wide.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from ledger_verifier.audit.report.build import when
from ledger_verifier.audit.report.figure import figure
from ledger_verifier.audit.report.markup import Markup, element, isolated, joined, table, text
from ledger_verifier.audit.report.model import CheckpointFacts, Failure, Report, Verdict
from ledger_verifier.audit.report.style import POLICY, STYLE
from ledger_verifier.audit.report.words import counts, meaning, subject

_TITLE: Final = "Hub Ledger verification report"
_TONES: Final = {
    Verdict.VERIFIED: "good",
    Verdict.UNWITNESSED: "warn",
    Verdict.UNVERIFIABLE: "warn",
    Verdict.FAILED: "bad",
}
#: A shape for each verdict: a tick, a tick in a broken ring, a question mark, a cross.
_SHAPES: Final = {
    Verdict.VERIFIED: ("M24 3a21 21 0 1 0 .01 0", "M14 25l7 7 14-15"),
    Verdict.UNWITNESSED: ("M30 4a21 21 0 1 1-12 0", "M14 25l7 7 14-15"),
    Verdict.UNVERIFIABLE: ("M24 3a21 21 0 1 0 .01 0", "M18 18a6 6 0 1 1 6 7v4M24 34v3"),
    Verdict.FAILED: ("M15 3h18l12 12v18l-12 12h-18l-12-12v-18z", "M16 16l16 16M32 16l-16 16"),
}

#: A section: the anchor, the heading and the content.
Section = tuple[str, str, Markup]


def as_html(report: Report) -> bytes:
    """The whole page as UTF-8."""
    sections = [part for part in _sections(report) if part is not None]
    words = f"{report.verdict.value}: {meaning(report).short}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{words} - {_TITLE}"),
        Markup(f"<style>{STYLE}</style>"),
    )
    links = (element("li", element("a", title, href=f"#{key}")) for key, title, _ in sections)
    body = element(
        "body",
        element("a", "Skip to the verdict", href="#verdict", class_="skip"),
        element("header", element("p", _TITLE)),
        element(
            "main",
            _verdict(report),
            element("nav", element("ul", *links), aria_label="On this page"),
            *(_section(*part) for part in sections),
            id="main",
        ),
        element("footer", element("p", *_made_by(report))),
    )
    page = element("html", head, "\n", body, lang="en-GB")
    return f"<!doctype html>\n{page}\n".encode()


def _sections(report: Report) -> Iterable[Section | None]:
    yield _failures(report)
    yield _listed("missing", "What is missing", report.lacking)
    drawn = figure(report)
    yield None if drawn is None else ("figure", "The log, drawn", drawn)
    if report.verdict in (Verdict.FAILED, Verdict.UNVERIFIABLE):
        provable = element("p", _sentence(report.provable))
        yield "provable", "What remains provable", provable
    compared = [compared.words for compared in report.compared]
    yield _listed("compared", "Compared with what was seen earlier", compared)
    if report.conduct:
        yield "conduct", "Conduct", _conduct(report)
    yield _listed("shown", "What this shows", report.shown)
    yield _listed("not-shown", "What this does not show", report.not_shown)
    yield _listed("not-assessed", "What was not assessed", report.not_assessed)
    if report.checkpoint is not None:
        yield "checkpoint", "The checkpoint and who signed it", _checkpoint(report.checkpoint)
    rows = ((name, f"{number:,}") for name, number in counts(report.checked))
    if report.checked:
        yield (
            "counts",
            "What was checked",
            (table("How many of what", ("What", "Number"), rows, "numbers")),
        )
    if report.evidence:
        yield "evidence", "Evidence to keep", _evidence(report.evidence)
    yield "trust", "Under which policy, and with which program", _trust(report)


def _section(key: str, title: str, content: Markup) -> Markup:
    heading = element("h2", title, id=key, tabindex=-1)
    return element("section", heading, "\n", content, "\n", aria_labelledby=key)


def _listed(key: str, title: str, lines: Sequence[str]) -> Section | None:
    if not lines:
        return None
    return key, title, element("ul", *(element("li", _sentence(line)) for line in lines))


def _verdict(report: Report) -> Markup:
    said, ring, sign = meaning(report), *_SHAPES[report.verdict]
    pen: dict[str, str | int] = {"fill": "none", "stroke": "currentColor", "stroke_width": 4}
    shape = element(
        "svg",
        element("path", d=ring, **pen),
        element("path", d=sign, **pen),
        viewBox="0 0 48 48",
        aria_hidden="true",
        focusable="false",
    )
    heading = element(
        "h1", element("strong", report.verdict.value), " ", said.short[:1].upper() + said.short[1:]
    )
    first = report.failures[:1]
    words = element(
        "div",
        heading,
        element("p", said.means),
        *(
            element(
                "p",
                element("b", "The first thing found: "),
                joined(_places(failure), ", "),
                ": ",
                isolated(failure.reason),
            )
            for failure in first
        ),
        element("p", element("b", "What to do: "), said.then),
        _facts(_summary(report)),
    )
    return element(
        "div", shape, words, class_=f"verdict {_TONES[report.verdict]}", id="verdict", tabindex=-1
    )


def _summary(report: Report) -> Iterable[tuple[str, str]]:
    yield "Checked", subject(report)
    checkpoint = report.checkpoint
    if checkpoint is None:
        return
    yield "Log", isolated(checkpoint.origin)
    yield "Entries", f"{checkpoint.size:,}"
    if report.failure_count:
        yield "Failures", f"{report.failure_count:,}"
    seen = checkpoint.witnessed_at
    yield "Checkpoint witnessed", "by nobody that the policy names" if seen is None else _time(seen)


def _failures(report: Report) -> Section | None:
    if not report.failures:
        return None
    rows = (
        (str(number), joined(_places(failure), element("br")), isolated(failure.reason))
        for number, failure in enumerate(report.failures, 1)
    )
    caption = "What is wrong and where, the first place in the log first"
    parts = [table(caption, ("No.", "Where", "What is wrong"), rows, "places")]
    rest = report.failure_count - len(report.failures)
    if rest > 0:
        parts.append(element("p", f"{rest:,} more failures were counted and are not listed."))
    return "failures", "What failed", joined(parts, "\n")


def _places(failure: Failure) -> list[Markup]:
    """Position, stream, field and tile, as far as the failure names them."""
    parts = []
    if failure.position is not None:
        several = failure.last not in (None, failure.position)
        parts.append(text(f"{'entries' if several else 'entry'} {failure.where}"))
    for name, value in (
        ("stream ", failure.stream),
        ("field ", failure.field),
        ("tile ", failure.tile),
    ):
        if value is not None:
            parts.append(joined([name, element("code", isolated(value))]))
    return parts or [text("no one place")]


def _checkpoint(checkpoint: CheckpointFacts) -> Markup:
    if checkpoint.quorum is None:
        quorum: Markup = text("the policy asks for none")
    else:
        met = "met" if checkpoint.quorum_met else "not met"
        quorum = joined([isolated(checkpoint.quorum), f": {met}"])
    facts = _facts(
        [
            ("Log (origin)", isolated(checkpoint.origin)),
            ("Entries (size)", f"{checkpoint.size:,}"),
            ("Root", element("code", checkpoint.root)),
            ("Quorum of witnesses", quorum),
        ]
    )
    if not checkpoint.signatures:
        return facts
    rows = (
        (
            joined([isolated(signature.name), f" ({signature.role})"]),
            signature.algorithm,
            "states no time" if signature.time is None else _time(signature.time),
        )
        for signature in checkpoint.signatures
    )
    return joined([facts, table("Good signatures", ("Whose", "Kind", "Time it states"), rows)])


def _conduct(report: Report) -> Markup:
    said = (
        "Indications on recorded facts, for a person to weigh. They are not determinations of "
        "breach."
    )
    items = (
        element("li", _facts((key, isolated(_value(value))) for key, value in finding.items()))
        for finding in report.conduct
    )
    return joined([element("p", said), element("ol", *items)], "\n")


def _value(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _evidence(evidence: Sequence[str]) -> Markup:
    said = (
        "Signed checkpoints that contradict one another, whole. Together they are proof to anybody "
        "that two histories were signed. The report for programs (--json) has them byte for byte."
    )
    notes = [
        joined(
            [
                element("h3", f"Signed checkpoint {number}"),
                # HTML leaves out one line end after <pre>.
                element("pre", "\n", raw),
            ]
        )
        for number, raw in enumerate(evidence, 1)
    ]
    return joined([element("p", said), *notes], "\n")


def _trust(report: Report) -> Markup:
    said = (
        "Whose signatures count is laid down in the policy file. It must have reached you by "
        "another road than the log: compare the digest with the one in your own notes."
    )
    facts = _facts(
        [
            ("Policy file, SHA-256", element("code", report.policy_sha256)),
            ("Verifier", f"ledger-verify {report.verifier_version}"),
            ("Its source, SHA-256", element("code", report.verifier_sha256)),
        ]
    )
    return joined([element("p", said), facts], "\n")


def _made_by(report: Report) -> tuple[str, ...]:
    return (
        f"Made by ledger-verify {report.verifier_version}. This page loads nothing from anywhere "
        "and holds no content of any entry.",
    )


def _facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    rows = (joined([element("dt", name), element("dd", value)]) for name, value in pairs)
    return element("dl", joined(rows, "\n"))


def _time(seconds: int) -> Markup:
    try:
        machine = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return text(when(seconds))
    return element("time", when(seconds), datetime=machine)


def _sentence(line: str) -> Markup:
    """A line as a sentence of its own: with a capital and a full stop."""
    capital = line[:1].upper() + line[1:]
    return isolated(capital if capital.endswith((".", "!", "?")) else f"{capital}.")
