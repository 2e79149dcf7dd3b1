"""The original's command line as a description of an experiment: its settings, its arithmetic, its oddities."""
