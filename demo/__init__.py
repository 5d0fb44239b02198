"""A simulated year of two hubs, and a demonstration that records and checks it.

`demo.simulate` makes the events and needs nothing but the standard library, so that
tests and benchmarks can use it. `python -m demo` runs the service on them.
"""
