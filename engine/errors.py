"""What goes wrong because of what the user gave."""


class BadInput(Exception):
    """One line for the user, naming the file or flag, and the exit status that goes with it."""

    def __init__(self, message: str, status: int = 1):
        super().__init__(message)
        self.status = status


class DeviceLost(BadInput):
    """A GPU that was there has failed: not the fault of what was to be rendered."""
