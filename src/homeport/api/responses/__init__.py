"""`/v1/responses`: answers as items, kept on disk, continued by their id."""
