"""Tests of traffic: admission, leases, workers and the link, through real child processes."""
