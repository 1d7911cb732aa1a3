"""Vector stores in the background: documents are read, cut into chunks and embedded."""
