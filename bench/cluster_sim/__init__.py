"""A simulation of the router of a cluster: replicas, traffic and policies, with a virtual clock and no model.

`python -m bench.cluster_sim` runs it. Everything follows from a seed. Knows nothing of Ray.
"""
