"""HTML made of escaped text and nothing else.

Guarantees: a plain string that becomes part of an element, or the value of an attribute, is always
escaped, and characters that print nothing or turn the direction of writing become U+FFFD, so that
what a hostile log holds is seen as text and can be neither markup nor a disguise. Only what this
module made is `Markup` and goes in as it is: joining it with a string gives a string, which is
escaped again.
"""

from collections.abc import Iterable
from html import escape
from typing import Final

_EMPTY: Final = frozenset({"br", "meta"})
_DRAWN: Final = frozenset({"line", "path", "rect"})


class Markup(str):
    """HTML that is already escaped."""

    __slots__ = ()


def clean(value: str) -> str:
    """The text with everything unprintable, other than line ends, replaced by U+FFFD."""
    if value.isprintable():
        return value
    return "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in value
    )


def text(value: str) -> Markup:
    """A string as HTML text; `Markup` as it is."""
    return value if isinstance(value, Markup) else Markup(escape(clean(value)))


def joined(parts: Iterable[str], separator: str = "") -> Markup:
    """Parts one after the other."""
    return Markup(text(separator).join(text(part) for part in parts))


def element(name: str, /, *children: str, **attributes: str | int | None) -> Markup:
    """An element. An attribute's name may end in `_` (`class_`), and `_` within it is a hyphen; one
    whose value is None is left out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(f"<{name}{shown}>")
    if name in _DRAWN:
        return Markup(f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{joined(children)}</{name}>")


def isolated(value: str) -> Markup:
    """A string from outside within a sentence: its direction of writing stays its own."""
    return element("bdi", value)


def table(
    caption: str, heads: Iterable[str], rows: Iterable[Iterable[str]], kind: str | None = None
) -> Markup:
    """A table with a caption, column headers, and a header in the first cell of each row. It can
    be scrolled, also by keyboard, where it is wider than the page. `kind` is for the style."""
    head = element("tr", *(element("th", name, scope="col") for name in heads))
    body = []
    for row in rows:
        first, *rest = row
        cells = (element("td", cell) for cell in rest)
        body.append(element("tr", element("th", first, scope="row"), *cells))
    return element(
        "div",
        element(
            "table",
            element("caption", caption),
            element("thead", head),
            element("tbody", joined(body, "\n")),
            class_=kind,
        ),
        class_="table",
        role="region",
        aria_label=caption,
        tabindex=0,
    )
