"""What the server keeps for its callers."""
