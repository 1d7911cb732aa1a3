"""One folder per image pipeline. They use the interface `engines.images.pipeline` and do not know each other."""
