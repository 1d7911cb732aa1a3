"""Weights in a form that no engine reads, made into one that one reads. Nothing but the standard library is used.

A conversion gives the same bytes for the same input everywhere, so what comes out has a hash that the catalogue pins.
Knows nothing of where files come from.
"""
