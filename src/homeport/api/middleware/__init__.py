"""ASGI layers around every endpoint."""
