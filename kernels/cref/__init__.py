"""The C reference: the oracle, serial and exact."""
