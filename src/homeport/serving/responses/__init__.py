"""Running background responses: claims them, stores their events while they arrive, and ends each exactly once."""
