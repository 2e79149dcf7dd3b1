"""Light of amorphous matter and shades: what is made once for a geometry, and what each image has of it."""
