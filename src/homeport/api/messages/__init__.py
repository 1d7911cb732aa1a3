"""`/v1/messages`: Anthropic's format of conversations, as an extension."""
