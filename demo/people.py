"""People, streets and words that are plainly made up.

Nobody here can be mistaken for anyone: given names are colours and plants, family names
are household things, streets are in a borough that does not exist, and web addresses are
under `.example`, which RFC 2606 keeps out of use. There are no estates and no gangs.
"""

from dataclasses import dataclass
from random import Random

_GIVEN = (
    "Amber", "Aster", "Azure", "Basil", "Beige", "Bracken", "Clover", "Cobalt", "Coral",
    "Fennel", "Fern", "Hazel", "Indigo", "Ivory", "Juniper", "Lilac", "Linden", "Mallow",
    "Maroon", "Nettle", "Ochre", "Olive", "Rowan", "Russet", "Saffron", "Sage", "Sorrel",
    "Teal", "Thistle", "Umber", "Willow", "Yarrow",
)  # fmt: skip
_FAMILY = (
    "Anvil", "Basket", "Bellows", "Bobbin", "Candle", "Casket", "Colander", "Cushion",
    "Dustpan", "Egg-Timer", "Fiddlestick", "Hatstand", "Hinge", "Inkwell", "Jamjar",
    "Kettle", "Ladle", "Lampshade", "Mangle", "Napkin", "Paperclip", "Pepperpot",
    "Quilt", "Saucepan", "Spindle", "Teacosy", "Thimble", "Tinderbox", "Trivet",
    "Umbrella", "Washboard", "Weathervane",
)  # fmt: skip
_STREETS = ("Example Row", "Invented Street", "Made-Up Lane", "Nowhere Gardens", "Sample Road")

REASONS = (
    "Invented: two schools raised the same worry within a fortnight.",
    "Invented: attended with a minor injury and asked a youth worker for help.",
    "Invented: a relative asked for support after a change in behaviour.",
    "Invented: seen in the company of older people who were being watched over.",
)
EXPLANATIONS = (
    "Invented: letter explaining who referred you, why, and how to object.",
    "Invented: conversation with a youth worker, with the same points left in writing.",
)
WITHHOLDING_REASONS = (
    "Invented: telling the person now would warn others in a live enquiry.",
    "Invented: telling the person now would put someone else at risk.",
)
NECESSITY = (
    "Invented: the provider cannot offer a place without knowing who it is for.",
    "Invented: the school needs to know in order to keep the young person safe.",
)
QUERIES = (
    "Invented: open the case before the weekly panel.",
    "Invented: check the date of the last review.",
)


@dataclass(frozen=True, slots=True)
class Person:
    """A fictional person: name, ISO date of birth and address."""

    name: str
    born: str
    address: str


def make_person(rng: Random, age_band: str, year: int) -> Person:
    """Invent someone whose age in `year` falls in `age_band` ("13-15" and the like)."""
    youngest, oldest = (int(part) for part in age_band.split("-"))
    born_in = year - rng.randint(youngest, oldest)
    return Person(
        name=f"{rng.choice(_GIVEN)} {rng.choice(_FAMILY)}",
        born=f"{born_in:04d}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
        address=f"{rng.randint(1, 99)} {rng.choice(_STREETS)}, Borough of Nowhere",
    )
