"""What molecules of amorphous matter scatter and absorb."""
