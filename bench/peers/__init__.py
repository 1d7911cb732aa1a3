"""Other servers that `make bench` compares ours with, each in an environment of its own outside this project's."""
