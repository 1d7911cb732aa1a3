"""What outlives a restart: projects, keys, usage and files in SQL, their contents as blobs. The only room with SQL."""
