"""Benchmarks: runnable modules that compare this client with rivals, as a table or JSON."""
