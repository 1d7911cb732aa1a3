"""`/v1/files` and `/v1/uploads`: what callers keep here."""
