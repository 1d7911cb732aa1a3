"""Tests of the cluster: links, hosts and gateways on loopback; those with Ray are apart."""
