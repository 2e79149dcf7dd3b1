"""What a detector makes of photons: counts, light that spreads, electronics."""
