"""What is raised where a GPU cannot be used."""

from __future__ import annotations


class Unavailable(Exception):
    """Why no GPU can be used, in words for the user."""
