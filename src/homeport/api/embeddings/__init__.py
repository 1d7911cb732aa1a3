"""`/v1/embeddings`, in the API of 2023 and of today."""
