"""The images inside JSON bodies, which become files for a worker."""
