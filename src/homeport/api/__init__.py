"""The HTTP API: the server, its middleware, and a package for each family of endpoints."""
