"""Benchmarks: the portal beside a bare floor, under the same server, in the same run; as ratios.

`bench/run --help` says how to run them. They are no part of the tests.
"""
