"""File search measured: documents made by code, questions about them, and a table of what was found how fast.

`python -m bench.file_search` runs it against a server of its own.
"""
