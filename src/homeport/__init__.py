"""Homeport: OpenAI's API on the user's own machine. See docs/architecture.md for the rooms and the arrows."""

__version__ = "0.1.0"
