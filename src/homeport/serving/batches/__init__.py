"""Running batches: reads their files, runs their lines while the server is idle, stores each result at once."""
