"""Hostile requests: whatever comes, the parser gives submissions or a refusal that repeats nothing,
and never any other exception."""

import uuid
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cloudevents import Request
from ledger.errors import LedgerError
from tests.api.events import SECRET, example
from tests.api.test_cloudevents import BATCH, PLAIN, read

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
NAMES = [*example(), "expectedversion", "extra", "data_base64", "", "é", "/~"]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), json_values, min_size=1, max_size=5))
def test_whatever_is_in_an_event_it_is_read_or_refused_without_repeating_it(
    changes: dict[str, Any],
) -> None:
    marked = {name: SECRET if type(value) is str else value for name, value in changes.items()}
    body = orjson.dumps([{**example(), **_integers(marked)}])
    outcome = read_or_refusal(body)
    if isinstance(outcome, Request):
        assert len(outcome.submissions) == 1
    else:
        assert outcome.fields
        assert SECRET not in f"{outcome} {outcome.fields} {outcome.extra}"


def read_or_refusal(body: bytes) -> Request | LedgerError:
    try:
        return read(BATCH, body, whole=True)
    except LedgerError as error:
        return error


def _integers(value: Any) -> Any:
    """orjson writes no integer beyond 64 bits: such ones as floats."""
    if type(value) is dict:
        return {name: _integers(item) for name, item in value.items()}
    if type(value) is list:
        return list(map(_integers, value))
    return float(value) if type(value) is int and abs(value) >= 2**63 else value


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([f"ce-{name}" for name in NAMES if name.isascii()]),
        st.text(st.characters(codec="latin-1"), max_size=20),
    ),
    st.binary(max_size=30),
)
def test_whatever_is_in_headers_and_body(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(LedgerError):
        read({**headers, **PLAIN, "ce-specversion": "1.0", "ce-id": str(uuid.UUID(int=0))}, body)
