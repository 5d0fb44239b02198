"""Hostile variants of good bytes, for every parser."""

from hypothesis import strategies as st


@st.composite
def mutants(draw: st.DrawFn, good: bytes) -> bytes:
    """Change, insert, remove, repeat or cut a few bytes of a good input."""
    data = good
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        to = draw(st.integers(at, min(len(data), at + 8)))
        fill = draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(
                    [b"\n", b"\r\n", b"\n\n", b" ", b"0", b"=", b"+", b"\xe2\x80\x94 "]
                ),
                st.just(data[at:to] * 2),
            )
        )
        data = data[:at] + fill + data[to:]
        if draw(st.booleans()) and draw(st.booleans()):
            data = data[:at]
    return data
