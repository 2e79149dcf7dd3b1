"""Images, figures and speed compared: with an original, between backends, with a standard."""
