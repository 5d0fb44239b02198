"""The JSON reader against a slow one that sees every member, and against hostile texts."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import strict_json
from ledger.errors import MalformedJson
from tests.api.events import SECRET

# Strings made of what could mislead a count of colons.
texts = st.text(st.sampled_from(list('":\\{}[], aé\x7f\u2028😀')), max_size=6)
scalars = st.none() | st.booleans() | st.integers(-9, 9) | texts


class Members(list[tuple[str, Any]]):
    """An object that may name a member twice."""


def trees(depth: int) -> st.SearchStrategy[Any]:
    if depth == 0:
        return scalars
    below = trees(depth - 1)
    return (
        scalars
        | st.lists(below, max_size=3)
        | st.lists(st.tuples(texts, below), max_size=3).map(Members)
    )


def write(value: Any, escape: bool, gap: str) -> str:
    """JSON text of a tree, keeping duplicates."""
    if isinstance(value, Members):
        inner = f",{gap}".join(
            f"{json.dumps(name, ensure_ascii=escape)}{gap}:{gap}{write(item, escape, gap)}"
            for name, item in value
        )
        return f"{{{gap}{inner}{gap}}}"
    if isinstance(value, list):
        return f"[{gap}{f',{gap}'.join(write(item, escape, gap) for item in value)}]"
    return json.dumps(value, ensure_ascii=escape)


def has_duplicates(value: Any) -> bool:
    if isinstance(value, Members):
        names = [name for name, _ in value]
        return len(set(names)) < len(names) or any(has_duplicates(item) for _, item in value)
    return isinstance(value, list) and any(map(has_duplicates, value))


def plain(value: Any) -> Any:
    if isinstance(value, Members):
        return {name: plain(item) for name, item in value}
    return list(map(plain, value)) if isinstance(value, list) else value


@settings(max_examples=400, deadline=None)
@given(trees(4), st.booleans(), st.sampled_from(["", " ", "\n\t"]))
def test_a_duplicate_is_found_at_any_depth_and_nothing_else_is(
    tree: Any, escape: bool, gap: str
) -> None:
    text = write(tree, escape, gap).encode()
    if has_duplicates(tree):
        with pytest.raises(MalformedJson) as caught:
            strict_json.loads(text)
        assert caught.value.fields
    else:
        assert strict_json.loads(text) == plain(tree)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'[{"b":{"a":{"x":1},"a":0}}]',
        b'{"a:":1,"a:":2}',
        b'{"a":{"b":1,"b":2},"a":3}',
        b'{"":0,"":0}',
    ],
)
def test_duplicates_by_hand(text: bytes) -> None:
    with pytest.raises(MalformedJson, match="two members of one name"):
        strict_json.loads(text)


def test_a_duplicate_is_named_by_where_it_is_and_not_by_an_odd_name() -> None:
    text = json.dumps({"data": [{"purpose": 1, SECRET: 2}]})
    doubled = text.replace("[{", '[{"purpose": 1, ' + json.dumps(SECRET) + ": 2, ").encode()
    with pytest.raises(MalformedJson) as caught:
        strict_json.loads(doubled)
    assert [item.pointer for item in caught.value.fields] == ["/data/0/purpose", "/data/0/?"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"{'a':1}",
        b'{"a":1,}',
        b"[1,]",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"01",
        b"+1",
        b"1e999",
        b'"\n"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\x"',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"// no\n{}",
        b"\x00{}",
        b'{"a":1}\x00',
    ],
)
def test_what_is_not_json(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        strict_json.loads(text)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_is_bounded(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    good = opening * (strict_json.MAX_DEPTH - 1) + b"[]" + closing * (strict_json.MAX_DEPTH - 1)
    strict_json.loads(good)
    for depth in (strict_json.MAX_DEPTH, 900, 5000, 100_000):
        with pytest.raises(MalformedJson):
            strict_json.loads(opening * depth + b"[]" + closing * depth)


def test_nesting_hidden_behind_a_duplicate_is_refused_all_the_same() -> None:
    text = b'{"a":' + b"[" * 990 + b"]" * 990 + b',"a":1}'
    with pytest.raises(MalformedJson):
        strict_json.loads(text)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_whatever_comes_is_parsed_or_refused(text: bytes) -> None:
    parsed, refusal = parse_or_refusal(text)
    if refusal is None:
        # Numbers that an entry cannot hold may differ: orjson has floats for integers over 64 bits.
        assert parsed == json.loads(text) or any(strict_json.bad_numbers(parsed))
    else:
        # What orjson raises holds the whole text.
        assert refusal.__cause__ is None
        assert refusal.__suppress_context__


def parse_or_refusal(text: bytes) -> tuple[Any, MalformedJson | None]:
    try:
        return strict_json.loads(text), None
    except MalformedJson as error:
        return None, error


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-(2**70), 2**70).map(str)
    | st.sampled_from(["1.0", "1e2", "-0.0", "9007199254740993.0", "0.1", "1E+2"])
    | st.floats(allow_nan=False, allow_infinity=False).map(json.dumps)
)
def test_numbers_are_integers_below_2_to_the_53(number: str) -> None:
    value = strict_json.loads(f'{{"data":[{{"n":{number}}}]}}'.encode())
    found = list(strict_json.bad_numbers(value))
    good = number.lstrip("-").isdecimal() and abs(int(number)) < 2**53
    assert [item.pointer for item in found] == ([] if good else ["/data/0/n"])
