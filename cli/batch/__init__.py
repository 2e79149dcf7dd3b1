"""`nb-batch`: job files and the command."""
