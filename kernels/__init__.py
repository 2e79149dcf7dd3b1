"""The physics of one step, and the loops over it per target. Imports nothing of ours outside this folder."""
