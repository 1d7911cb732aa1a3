"""Trains the moderation engine's head and says what it is worth: `python -m recipes.moderation`.

The data, all written for this project and under its licence, lie beside it; docs/moderation-card.md tells the rest.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # sums in one order, so that a second run gives the same head
