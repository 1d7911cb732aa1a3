"""HTTP/1.1 and 1.0 on sockets: requests read within bounds, responses written, as an ASGI server does."""
