"""What scatters and absorbs beside the crystal: light that each pixel has of it, and what shades each pixel."""
