"""Detectors by name, and what their sensors absorb."""
