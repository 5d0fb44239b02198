"""The tamper matrix: kinds of attack on a real ledger, and whether each is caught and located.

`python -m tests.tamper` (or `make tamper`) runs every kind many times and prints a table;
`test_matrix.py` runs each a few times. An attack is a function that changes something, given a
seeded `random.Random`, and says what the first failure of the report has to name.
"""
