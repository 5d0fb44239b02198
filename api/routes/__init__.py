"""The routes, one small module each family; `ROUTES` is the table of all of them.

A handler reads its parameters, calls the ledger once and writes the answer: nothing is decided
here.
"""

from collections.abc import Sequence

from api.routes import (
    bundles,
    cases,
    describe,
    docs,
    entries,
    events,
    expiry,
    findings,
    health,
    log,
    staff,
)
from api.routing import Route

ROUTES: Sequence[Route] = (
    *events.ROUTES,
    *entries.ROUTES,
    *cases.ROUTES,
    *bundles.ROUTES,
    *expiry.ROUTES,
    *findings.ROUTES,
    *staff.ROUTES,
    *describe.ROUTES,
    *docs.ROUTES,
    *log.ROUTES,
    *health.ROUTES,
)
