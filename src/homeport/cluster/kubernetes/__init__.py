"""A cluster on Kubernetes: the manifest that its operators apply. Knows nothing of Ray but the names of settings."""
