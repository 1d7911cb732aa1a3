"""Renders conversations with a model's chat template, and finds out what the template supports."""
