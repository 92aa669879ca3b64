"""What is raised for a file that is no picture."""


class UnreadableError(ValueError):
    """The bytes are no picture that may be decoded; the message says why."""
