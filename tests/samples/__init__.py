"""Recordings, images and small models that tests of several packages make and share."""
