"""Model jobs: queues, runs, pauses and resumes them. Knows nothing of HTTP, hubs or the files of models."""
