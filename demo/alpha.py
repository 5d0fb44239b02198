"""The life of one piece of content that Project Alpha refers to a platform."""

from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from demo import figures
from demo.acts import Act, make_reference, pick
from demo.world import World

PLATFORMS: Final = {
    "youtube": 50, "instagram": 14, "tiktok": 12, "snapchat": 10, "facebook": 6, "x": 5,
    "soundcloud": 3,
}  # fmt: skip
"""Weights of the platforms. Planning figure: the published requests named one platform for
about half of a year's requests."""

KEPT: Final = ("no-action", "geo-blocked", "age-restricted", "no-answer")
"""What a platform does that does not remove."""

HARMS: Final = ("incitement-to-violence", "threats", "weapons", "glorifying-violence")
GENRES: Final = ("music-drill", "music-other", "video", "image", "livestream")


def content_life(rng: Random, world: World, began: datetime) -> list[Act]:
    """A referral and its outcome; an outcome that would come after the year is left out."""
    desk = world.alpha
    subject = f"content/{make_reference(rng)}"
    assessor, approver = rng.sample(desk.staff, 2)
    number = rng.randrange(10**6)
    illegal = rng.random() < 0.2
    data: dict[str, Any] = {
        "platform": pick(rng, PLATFORMS),
        "basis": "illegal" if illegal else "terms-of-service",
        "route": "trusted-flagger",
        "repeat_of": make_reference(rng) if rng.random() < figures.SHARE_REPEATED else None,
        "overseas_transfer": True,
        "transfer_condition": "s77-strictly-necessary",
        "legal_ref": "serious-crime-act-2007" if illegal else None,
        "equality_check": True,
        "genre": rng.choice(GENRES),
        "harm": rng.choice(HARMS),
        "url": f"https://video.example/watch/synthetic-{number:06d}",
        "handle": f"synthetic_account_{number:06d}",
        "capture_sha256": rng.randbytes(32).hex(),
        "text": "Invented: the second verse threatens somebody who does not exist.",
        "assessor": assessor,
        "approver": approver,
    }
    days = rng.uniform(*figures.PLATFORM_ANSWER_DAYS)
    answered = began + timedelta(days=days)
    outcome = {
        "elapsed_days": (answered.date() - began.date()).days,
        "outcome": "removed" if rng.random() < figures.SHARE_REMOVED else rng.choice(KEPT),
        "platform_reply": "Invented: reviewed under our rules.",
    }
    acts = [
        desk.act(began, "content.referred", subject, data, assessor),
        desk.act(answered, "content.outcome_recorded", subject, outcome, assessor),
    ]
    return [act for act in acts if act.at < figures.YEAR_END]
