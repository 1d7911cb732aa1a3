"""The ASGI middleware around all endpoints."""
