"""A long run at most of a worker's capacity: `make soak`."""
