"""Loops over a rendered image: sums, integers, noise."""
