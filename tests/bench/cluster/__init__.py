"""Tests of `bench.cluster`."""
