"""Size, words and types of the code: what keeps it readable by one person at a time."""

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import name, python_files, text_files

MAX_LINES = 400
MAX_FUNCTION = 60

# Written in two halves, so that this file does not hold what it looks for.
UNFINISHED = re.compile("TO" + "DO|FIX" + "ME|XX" + "X|Not" + "ImplementedError")
UNEXPLAINED_IGNORE = re.compile(r"# type: " + r"ignore(\[[a-z, -]+\])?\s*$")
MACHINE = re.compile(r"(?<![\w.])/(?:ho" + "me|ro" + "ot|Us" + r"ers|wo" + r"rk|op" + r"t)/\w")
REGISTRY = re.compile(
    "pypi" + r"\.org|python" + "hosted|registry" + r"\.npmjs|extra-" + "index-url"
)


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_bytes())
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_module_is_over_the_limit() -> None:
    long = {
        name(path): count
        for path in python_files()
        if (count := len(path.read_text("utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}


def test_no_function_is_over_the_limit() -> None:
    long = [
        f"{name(path)}:{function.lineno} {function.name}"
        for path in python_files()
        for function in _functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > MAX_FUNCTION
    ]
    assert long == []


def test_every_module_of_the_product_says_what_it_is_for() -> None:
    silent = [
        name(path)
        for path in python_files()
        if not name(path).startswith("tests/")
        and path.stat().st_size > 0
        and not ast.get_docstring(ast.parse(path.read_bytes()))
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("unfinished work", UNFINISHED),
        ("an unexplained type exemption", UNEXPLAINED_IGNORE),
        ("a path of one machine", MACHINE),
        ("an address of a package registry", REGISTRY),
    ],
)
def test_nothing_holds(what: str, pattern: re.Pattern[str]) -> None:
    found = [
        f"{name(path)}:{number}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == [], what


def test_text_is_tidy() -> None:
    untidy = [
        name(path)
        for path, text in text_files()
        if path.suffix in {".py", ".md", ".toml"} and text and ("\r" in text or text[-1] != "\n")
    ]
    assert untidy == []
