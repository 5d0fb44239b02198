"""The documentation: every link leads somewhere, every command shown is one that exists."""

import re
import shlex
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from ledger.cli import cli
from tests.house.tree import ROOT, files, name, text_files

PAGES = [path for path in files() if path.suffix == ".md"]
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = {"hub-ledger", "ledger-verify"}
#: Plans that are not in this repository: whoever reads a comment cannot look there.
ELSEWHERE = re.compile(r"\b(?:DESIG[N]|domai[n]\.md|stac[k]\.md)")
NEEDED = (
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/glossary.md",
    "docs/operations.md",
    "docs/backup.md",
    "docs/event-types.md",
    "docs/verify.md",
    "docs/formats.md",
    "docs/problems.md",
)


def _anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return set(plain)


def _commands(text: str) -> list[list[str]]:
    """Lines of fenced blocks that run something, split into words, continuations joined."""
    found = []
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r" [|>] ?|&&", line.split(" #")[0].strip()):
                words = part.replace("'", "").replace('"', "").split()
                while words and re.fullmatch(r"\$|[A-Z_]+=.*", words[0]):
                    words = words[1:]
                if words:
                    found.append([Path(words[0]).name, *words[1:]])
    return found


@cache
def _help(program: str, *subcommand: str) -> str:
    if program == "hub-ledger":
        import_module("api.cli")  # adds the commands that serve and keep
        # In this process: there are many of its commands, and each start is a second.
        shown = CliRunner().invoke(cli, [*subcommand, "--help"])
        assert shown.exit_code == 0, (program, *subcommand)
        return shown.output
    command = [str(Path(sys.executable).with_name(program)), *subcommand, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, shlex.join(command)
    return done.stdout


@pytest.mark.parametrize("page", NEEDED)
def test_page_is_there(page: str) -> None:
    assert (ROOT / page).stat().st_size > 200


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text("utf-8")):
        if re.match(r"https?:|mailto:|urn:", link):
            continue
        target, _, anchor = link.partition("#")
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for program, *arguments in _commands(page.read_text("utf-8")):
        if program == "make":
            assert {word for word in arguments if "=" not in word} <= set(targets)
        if program not in PROGRAMS or not arguments or "..." in arguments:
            continue
        chain = [word for word in arguments[:2] if re.fullmatch(r"[a-z][a-z-]*", word)]
        depth = 2 if program == "hub-ledger" and chain[:1] == ["token"] else 1
        text = _help(program, *chain[:depth])
        options = {word.split("=")[0] for word in arguments if word.startswith("--")}
        unknown = {option for option in options if option not in text}
        assert not unknown, f"{program} {' '.join(arguments)}: {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:ledger|api|verifier|demo|tests|docs)/[\w./-]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_nothing_refers_to_what_is_not_here() -> None:
    cited = [
        f"{name(path)}: {match[0]}"
        for path, text in text_files()
        for match in ELSEWHERE.finditer(text)
    ]
    assert cited == []
