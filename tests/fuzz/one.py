"""One target under atheris, with libFuzzer's options: `python -m tests.fuzz.one TARGET OPTION…`."""

import sys

import atheris  # type: ignore[import-untyped]  # it ships no types

from tests.fuzz import PLANTED


def planted(data: bytes) -> None:
    """Fails for what begins with `hub`."""
    if data[:1] == b"h" and data[1:2] == b"u" and data[2:3] == b"b":
        raise KeyError("planted")


def main() -> None:
    """Does not return: libFuzzer ends the process."""
    name, *options = sys.argv[1:]
    if name == PLANTED:
        hold = planted
        atheris.instrument_func(planted)
    else:
        with atheris.instrument_imports(include=["ledger_verifier", "api", "ledger.catalogue"]):
            from tests.fuzz.targets import TARGETS

        hold = TARGETS[name].hold
        for data in TARGETS[name].good():
            # What is made once must not count as the first input's.
            hold(data)
    atheris.Setup([sys.argv[0], *options], hold)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
