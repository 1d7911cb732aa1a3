"""Composition: builds the parts and connects them. The only room that imports every other room."""
