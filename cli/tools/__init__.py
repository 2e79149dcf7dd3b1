"""The commands beside it."""
