"""Benchmarks: `make bench`. Every figure states its durability and signing."""
