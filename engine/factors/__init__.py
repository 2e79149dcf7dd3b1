"""Amplitudes from what people have: structures, and lists of reflections in any format, for a whole P1 box."""
