"""Exact numerics on the CPU: bit for bit the original."""
