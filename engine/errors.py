"""What goes wrong because of what the user gave; the exit status that goes with it is the command's affair."""


class BadInput(Exception):
    """One line for the user, naming the file, the flag or the field, and what to do."""


class BadFile(BadInput):
    """The same of a file: one that is missing, short or of another kind, or that cannot be created."""


class DeviceLost(BadInput):
    """A GPU that was there has failed: not the fault of what was to be rendered."""
