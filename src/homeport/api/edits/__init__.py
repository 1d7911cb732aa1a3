"""`/v1/edits`."""
