"""What is simulated, in the field's words and the users' units: the public description of an experiment."""
