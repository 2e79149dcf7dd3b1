"""Fast numerics on the CPU: tiles of pixels in vector registers."""
