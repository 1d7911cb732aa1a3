"""A home written by an earlier commit: the script that writes it, and stored copies of what it wrote."""
