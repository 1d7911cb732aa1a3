"""The images engine: generates, edits and varies images."""
