"""Benchmarks: each a module to run, printing a table or JSON, with ratios to a rival."""
