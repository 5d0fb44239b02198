"""The entries that say which positions of the log no longer have bytes.

Guarantees: the positions of all streams that one order removes are in one set, cut into entries
where it is too large for one, so that nothing ties those of one stream to each other; no entry is
over the size limit. What is removed is judged here as the head lock finds it.
"""

from collections.abc import Iterable

from ledger.log.genesis import service_event
from ledger.log.messages import PreparedEvent
from ledger.retention import DECIDING, KINDS
from ledger.store.expiry import ExpiryRows
from ledger.store.records import ExpiryPlan
from ledger_verifier.meaning.expiry import (
    MAX_SPANS,
    STREAM_EXPIRED,
    Span,
    keys_sha256,
    spans_from,
)


def may_be_carried_out(plan: ExpiryPlan, held: ExpiryRows) -> bool:
    """Whether the log is still as the plan found it: every stream holds the entries it names and
    no others, and nothing that decides over retention was recorded meanwhile."""
    kinds = {one.stream.partition("/")[0] for one in plan.doomed}
    return (
        bool(plan.doomed)
        and kinds <= set(KINDS)
        and held.are_as_planned(plan.doomed)
        and not held.recorded_since(plan.size, DECIDING)
    )


def explaining(
    plan: ExpiryPlan, ledger: str, order: int, at: str
) -> list[tuple[PreparedEvent, tuple[Span, ...]]]:
    """The entries, in the ledger stream of this id, that explain what the order at this position
    removes, each with its spans. The keys go with the last of them."""
    spans = spans_from(plan.positions)
    groups = [tuple(spans[i : i + MAX_SPANS]) for i in range(0, len(spans), MAX_SPANS)]
    keys: list[Iterable[str]] = [*[()] * (len(groups) - 1), plan.key_ids]
    return [
        (
            service_event(
                ledger,
                STREAM_EXPIRED,
                at,
                {
                    "keys_sha256": keys_sha256(key_ids),
                    "order": order,
                    "spans": [end for span in group for end in span],
                },
            ),
            group,
        )
        for group, key_ids in zip(groups, keys, strict=True)
    ]
