"""The moderation engine: texts and images in, a score per category out. Knows nothing of processes, links or HTTP."""
