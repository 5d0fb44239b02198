"""The HTML report: it says what the report says, is the same each time, and escapes everything.

What a browser makes of it is looked at in tests/browser.
"""

import stat
from base64 import b64encode
from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_verifier import cli
from ledger_verifier.audit.report.as_html import as_html
from ledger_verifier.audit.report.figure import Span, faulty_entries, faulty_tiles
from ledger_verifier.audit.report.markup import element, joined, text
from ledger_verifier.audit.report.model import (
    CheckpointFacts,
    Failure,
    Report,
    SignatureFact,
    Verdict,
)
from ledger_verifier.audit.report.save import save_html

from .test_tampering import altered
from .world import World, change_entry, policy, write_log

SIZE = 300
WORLD = World(seed=9).fill(SIZE, streams=4)


@pytest.fixture
def failed(over_bundle: Callable[..., Report]) -> Report:
    """A report on a log with one changed entry."""
    members = WORLD.members()
    change_entry(members, SIZE, 123, altered(WORLD.entries[123]))
    return over_bundle(members)


class Page(HTMLParser):
    """The tags of a page with their attributes, its text, and whether each tag was closed."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(raw.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"br", "meta"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def test_it_says_what_the_report_says(failed: Report) -> None:
    page = Page(as_html(failed))
    assert page.open == []
    assert failed.checkpoint is not None
    wanted = [
        "FAILED",
        "entry 123",
        str(failed.failures[0].stream),
        *(failure.reason for failure in failed.failures),
        *(line.removeprefix("that ")[1:] for line in (*failed.not_shown, *failed.not_assessed)),
        failed.provable[1:],
        failed.checkpoint.origin,
        failed.checkpoint.root,
        *(signature.name for signature in failed.checkpoint.signatures),
        *(signature.algorithm for signature in failed.checkpoint.signatures),
        failed.policy_sha256,
        failed.verifier_version,
        failed.verifier_sha256,
    ]
    assert [line for line in wanted if line not in page.text] == []


def test_headings_tables_and_landmarks(failed: Report) -> None:
    tags = Page(as_html(failed)).tags
    names = [name for name, _ in tags]
    headings = [int(name[1]) for name in names if name in {"h1", "h2", "h3", "h4"}]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert all(found["scope"] in {"col", "row"} for name, found in tags if name == "th")
    assert names.count("caption") == names.count("table") > 2
    assert [names.count(name) for name in ("main", "header", "nav", "footer", "title")] == [1] * 5
    assert dict(tags)["html"] == {"lang": "en-GB"}
    ids = [found["id"] for _, found in tags if "id" in found]
    assert len(ids) == len(set(ids))
    links = [str(found["href"]) for name, found in tags if name == "a"]
    assert {link[1:] for link in links} <= set(ids)


def test_its_policy_lets_only_its_own_style_through(failed: Report) -> None:
    raw = as_html(failed)
    (policy_text,) = [
        str(found["content"])
        for name, found in Page(raw).tags
        if found.get("http-equiv") == "Content-Security-Policy"
    ]
    style = raw.split(b"<style>")[1].split(b"</style>")[0]
    digest = b64encode(sha256(style).digest()).decode()
    assert policy_text.split("; ") == [
        "default-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        f"style-src 'sha256-{digest}'",
    ]
    assert b"style=" not in raw
    assert b"<script" not in raw
    assert b"url(" not in raw


def test_the_same_report_gives_the_same_bytes(failed: Report) -> None:
    assert as_html(failed) == as_html(failed)
    turned = replace(failed, checked=dict(reversed(list(failed.checked.items()))))
    assert as_html(turned) == as_html(failed)


def test_each_verdict_is_explained(failed: Report) -> None:
    seen = set()
    for verdict in Verdict:
        page = Page(as_html(replace(failed, verdict=verdict, failures=(), failure_count=0)))
        assert verdict.value in page.text
        seen.add(page.text.split("What to do:")[0])
    assert failed.checkpoint is not None
    unasked = replace(failed.checkpoint, quorum=None)
    page = Page(as_html(replace(failed, verdict=Verdict.VERIFIED, checkpoint=unasked)))
    assert "the policy asks for no outside witness" in page.text
    assert len(seen) == 4


def test_a_report_without_a_checkpoint(failed: Report) -> None:
    page = Page(as_html(replace(failed, checkpoint=None, failures=(), evidence=())))
    assert page.open == []
    assert "who signed it" not in page.text


def test_failures_that_are_not_listed_are_counted(failed: Report) -> None:
    page = Page(as_html(replace(failed, failure_count=len(failed.failures) + 1234)))
    assert "1,234 more failures were counted and are not listed." in page.text


HOSTILE = st.text(max_size=80) | st.sampled_from(
    ["</style><script>x</script>", '" onload="x', "-->", "]]>", "&lt;", "\u202e", "\ud800", "\x00"]
)


@settings(max_examples=30, deadline=None)
@given(st.lists(HOSTILE, min_size=8, max_size=8), st.integers(0, 2**80))
def test_whatever_a_log_holds_is_text(words: list[str], number: int) -> None:
    plain = Page(as_html(_holding(["plain"] * 8, 1)))
    page = Page(as_html(_holding(words, number)))
    assert page.open == []
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert [set(found) for _, found in page.tags] == [set(found) for _, found in plain.tags]
    assert all(c.isprintable() or c == "\n" for c in "".join(page.words))


def _holding(words: list[str], number: int) -> Report:
    """A report with these words wherever text can come from outside."""
    empty = {field.name: () for field in fields(Report)}
    signature = SignatureFact(words[0], words[1], words[2], 2**70 + number)
    values = {
        **empty,
        "subject": words[3],
        "verdict": Verdict.FAILED,
        "checked": {words[4]: number},
        "failures": (Failure(words[5], 2**90 + number, words[6], words[7], words[0]),),
        "failure_count": 1,
        "lacking": (words[1] + ".",),
        "conduct": ({words[2]: words[3]},),
        "provable": words[4],
        "evidence": (words[5],),
        "checkpoint": CheckpointFacts(words[6], 3, words[7], (signature,), words[0], False),
        "policy_sha256": words[1],
        "verifier_version": words[2],
        "verifier_sha256": words[3],
        "confirmed": None,
    }
    return Report(**values)  # type: ignore[arg-type]  # the values are as the fields above them


def test_markup_escapes_all_but_itself() -> None:
    assert element("p", "<b>", element("b", "&")) == "<p>&lt;b&gt;<b>&amp;</b></p>"
    assert element("a", "x", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;">x</a>'
    assert element("p", text("<") + "<b>") == "<p>&amp;lt;&lt;b&gt;</p>"
    assert joined(["<", element("br")], "<") == "&lt;&lt;<br>"
    assert text("a\x1b\u2028\nb") == "a\ufffd\ufffd\nb"


def test_where_the_figure_puts_failures() -> None:
    failures = [
        Failure("", position=7),
        Failure("", position=5),
        Failure("", position=6, tile="tile/0/000"),
        Failure("", position=9),
        Failure("", tile="tile/1/000.p/3"),
        Failure("", tile="tile/entries/002.p/8"),
        Failure("", tile="tile/0/009"),
        Failure("", tile="../hostile"),
    ]
    assert faulty_entries(failures) == [Span(5, 8), Span(9, 10)]
    assert faulty_tiles(failures, 520) == [Span(0, 520), Span(512, 520)]


@pytest.fixture
def given_files(tmp_path: Path) -> tuple[str, ...]:
    """A good bundle and a policy, as arguments."""
    (tmp_path / "policy").write_bytes(policy().encode())
    log = write_log(WORLD.members(), tmp_path / "log.bundle")
    return ("bundle", str(log), "--policy", str(tmp_path / "policy"))


def test_the_command_writes_it_beside_the_other_report(
    given_files: tuple[str, ...], tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    page = tmp_path / "report.html"
    assert cli.main([*given_files, "--json", "--html", str(page)]) == 0
    assert capsysbinary.readouterr().out.startswith(b"{")
    assert Page(page.read_bytes()).text.startswith("VERIFIED")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_a_file_that_is_there_stays_as_it_is(
    given_files: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    page.write_text("kept", "ascii")
    assert cli.main([*given_files, "--html", str(page)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert page.read_text("ascii") == "kept"


def test_a_report_that_could_not_be_written_is_refused_at_once(
    given_files: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "nowhere" / "report.html"
    assert cli.main([*given_files, "--html", str(page)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot be written" in err


def test_it_is_never_written_over_another(failed: Report, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    save_html(failed, page)
    with pytest.raises(FileExistsError):
        save_html(failed, page)
    assert page.read_bytes() == as_html(failed)
