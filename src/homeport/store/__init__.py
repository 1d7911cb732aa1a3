"""The database of keys, usage, files, batches and fine-tuning jobs, and file contents as blobs."""
