"""Talking to MCP servers. `client` is the way in; the other modules import the extra `mcp`, so only it imports them."""
