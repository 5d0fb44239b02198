"""Exports: files that leave the ledger and stand on their own."""
