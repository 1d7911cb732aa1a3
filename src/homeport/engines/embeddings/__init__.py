"""The embeddings engine: texts in, one vector each out. Knows nothing of processes, links or HTTP."""
