"""Geometry of real experiments, from the files that describe them."""
