"""Open fields as expressions over bytes.

Guarantees: what `kind_pattern` matches is the canonical form of a value of the kind. It matches a
part only of what the kind allows: no 29 February outside this century, no number from 10**15 on.
Repeats are possessive and no alternative is the beginning of another's match, so that a match takes
time in proportion to its length.

Follows docs/formats.md, "Registered types".
"""

from typing import Final

from ledger_verifier.meaning.schemas import MAX_LIST, Registration

#: Longest expression worth compiling.
MAX_PATTERN: Final = 16_384
#: The open field by which a recipient's entry says who submitted it, and its group.
CATEGORY: Final = "recipient_category"
CATEGORY_GROUP: Final = 1

_UUID = "[0-9a-f]{8}+-[0-9a-f]{4}+-[47][0-9a-f]{3}+-[89ab][0-9a-f]{3}+-[0-9a-f]{12}+"
_DAY = (
    "(?:[12][0-9]{3}+-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|20(?:[02468][048]|[13579][26])-02-29)"
)
_TIME = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}+Z"
_BASES: Final = {
    "uuid": f'"{_UUID}"',
    "date": f'"{_DAY}"',
    "instant": f'"{_DAY}{_TIME}"',
    "count": "(?:0|[1-9][0-9]{0,14}+)",
    "flag": "(?:true|false)",
    "sha256": '"[0-9a-f]{64}+"',
}


def kind_pattern(kind: str) -> str:
    """An expression for values of a kind of open field."""
    base, _, values = kind.partition(":")
    nullable = base.endswith("?")
    base = base.removesuffix("?")
    is_list = base.endswith("[]")
    base = base.removesuffix("[]")
    if base == "code":
        # The quote is in each alternative: no value is then taken for a longer one.
        pattern = '"(?:' + "|".join(f'{value}"' for value in values.split("|")) + ")"
    else:
        pattern = _BASES[base]
    if is_list:
        pattern = rf"\[(?:{pattern}(?:,{pattern}){{0,{MAX_LIST - 1}}}+)?+\]"
    return f"(?:null|{pattern})" if nullable else pattern


def open_pattern(registration: Registration) -> str | None:
    """An expression for all open fields of a type as they stand in `data` after its digests, each
    with a comma before it; None where there is none worth having. For a recipient's type the group
    CATEGORY_GROUP is the category."""
    parts = []
    for name, kind in sorted(registration.open.items()):
        pattern = kind_pattern(kind)
        if registration.recipient and name == CATEGORY:
            base, _, values = kind.partition(":")
            if base != "code":
                return None
            pattern = f'"({values})"'
        parts.append(f',"{name}":{pattern}')
    whole = "".join(parts)
    if len(whole) > MAX_PATTERN or (registration.recipient and CATEGORY not in registration.open):
        return None
    return whole
