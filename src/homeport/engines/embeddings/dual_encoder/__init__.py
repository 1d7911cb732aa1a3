"""Models that map texts and images into one vector space. Knows nothing of processes, links or HTTP."""
