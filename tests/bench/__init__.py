"""The benchmarks themselves: that each part of them still runs."""
