"""Several machines: what the cluster adds to one server. Only the routing policy exists; it knows nothing of Ray."""
