"""What is simulated, worked out: places, directions and numbers in SI units, the last stage before a plan."""
