"""The bytes of the ledger: parse, build and verify them, and nothing else.

No module here does I/O. Each opens with the public specification that it follows; `errors` holds
the one family of exceptions that they raise.
"""
