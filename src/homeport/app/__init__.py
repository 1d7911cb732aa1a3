"""Composition: builds the parts and connects them. The only room that knows every other room."""
