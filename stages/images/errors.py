"""What is raised for a file that is no picture, or one beyond the limits."""


class UnreadableError(ValueError):
    """The bytes are no picture that may be decoded; the message says why."""


class TooLargeError(UnreadableError):
    """The picture has more pixels than are allowed."""
