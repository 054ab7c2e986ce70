"""Benchmarks: the portal against a bare floor on the same server, in the same run, as ratios.

`bench/run --help` says how to run them. They are not part of the tests.
"""
