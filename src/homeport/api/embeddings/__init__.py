"""The embeddings endpoint of OpenAI's API, of 2023 and of today."""
