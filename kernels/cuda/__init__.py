"""Fast numerics on a GPU."""
