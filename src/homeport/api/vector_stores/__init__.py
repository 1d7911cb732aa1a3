"""`/v1/vector_stores`: documents that are found by meaning and by words."""
