"""Readers and writers, one file format each."""
