"""HTTP/1.1 and 1.0 over sockets, for ASGI: parses requests within limits and writes responses."""
