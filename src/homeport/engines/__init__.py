"""One folder per engine, and what engines share. Engines never import each other; only workers import them, by name."""
