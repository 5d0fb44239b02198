"""The HTTP surface of the ledger: routes, CloudEvents, problems, the OpenAPI document.

There is no rule, no SQL and no hashing here: `ledger.application.Ledger` is the one door.
"""
