"""The moderation engine: texts and pictures in, a score per category out. Knows nothing of processes, links or HTTP."""
