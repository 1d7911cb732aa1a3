"""The operator's endpoints under /admin/v1, and usage of an organization."""
