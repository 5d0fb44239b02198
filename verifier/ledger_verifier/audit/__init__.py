"""Checks that the ledger's bytes hold together: the engine, its readers and its report.

`engine.verify_log` checks a whole log from anything that is a `readers.LogReader`;
`case.verify_case` a case bundle; `receipt.verify_receipt` one entry with its proof.
"""
