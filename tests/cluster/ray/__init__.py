"""Tests on a real cluster: three nodes on this machine. `make cluster-test` runs them in an environment with Ray."""
