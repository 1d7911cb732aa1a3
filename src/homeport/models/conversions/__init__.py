"""Converts weights from a format that no engine reads to one that an engine reads. Uses only the standard library.

A conversion returns the same bytes for the same input everywhere, so the catalogue pins the hash of the result. Knows
nothing of where files come from.
"""
