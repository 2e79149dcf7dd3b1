"""The physics of one step, by subject: scalar functions that know no target; exact and fast forms side by side."""
