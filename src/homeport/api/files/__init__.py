"""`/v1/files`: files that callers store on the server."""
