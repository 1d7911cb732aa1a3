"""Where models come from: one file for each kind of source, behind one contract. They do not know each other."""
