"""The sources of models: one module per kind, all with one interface. They do not know each other."""
