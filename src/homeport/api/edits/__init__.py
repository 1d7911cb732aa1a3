"""POST /v1/edits."""
