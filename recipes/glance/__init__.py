"""Trains and measures homeport-glance-256: pictures and words in one space. See README.md."""
