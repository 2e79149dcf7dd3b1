"""nanoBragg: X-ray diffraction images of nanocrystals, in absolute photons per pixel."""

__version__ = "0.1.0"
