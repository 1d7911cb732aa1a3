"""One folder or file per engine; siblings never import each other; imported by name, only inside a worker."""
