"""`/v1/models`: the models that callers may use."""
