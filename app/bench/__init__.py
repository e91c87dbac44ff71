"""Benchmarks: what `ka bench` runs; each module has a `run` that returns figures."""
