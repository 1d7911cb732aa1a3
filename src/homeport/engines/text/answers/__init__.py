"""How a model family writes answers: its description, the grammar that enforces it and the parser that reads it."""
