"""`/v1/uploads`: files sent in parts."""
