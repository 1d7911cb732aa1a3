"""Traffic: admission, leases of loaded models, worker processes and the link to them. Knows nothing of HTTP."""
