"""Plays parts on recorded instruments."""
