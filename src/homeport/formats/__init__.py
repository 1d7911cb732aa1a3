"""File formats: GGUF reader and writer. Knows nothing of models, stores or requests."""
