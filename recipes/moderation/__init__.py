"""Trains and measures the moderation engine's classifier head: `python -m recipes.moderation`.

The data in this folder were written for this project and are under its license; see docs/moderation-card.md.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a fixed order of sums, so that a second run fits the same head
