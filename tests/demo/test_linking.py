"""What one known event gives away, as the documentation says."""

from demo.linking import SEED, streams_by_event, table
from demo.simulate import events
from tests.house.tree import ROOT


def test_the_page_holds_what_is_printed() -> None:
    """On failure: put what `python -m demo.linking` prints into docs/privacy.md."""
    assert table(events(SEED)) in (ROOT / "docs" / "privacy.md").read_text("utf-8")


def test_events_are_counted_by_the_streams_they_fit() -> None:
    year = list(events(SEED, 10, 5))
    fitting, lives = streams_by_event(year)
    assert sum(map(len, lives.values())) == sum(
        event["subject"].startswith(("case/", "content/", "restricted/")) for event in year
    )
    assert set().union(*fitting.values()) == set(lives)
