"""Tool calls of a model behind any server: real cases, the calls it makes, and whether these are well-formed and right.

`python -m bench.tools` measures our server against llama.cpp's own on the same file. The cases are not in this
repository: their path is an argument.
"""
