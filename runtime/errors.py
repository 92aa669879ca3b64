"""What a user can mend.

Every one of these is shown as one message, without a traceback, and ends the command with exit status 1
(`runtime/command.py`). Anything else that is raised is a bug of ours. The whole tree:

    RetrainError
    ├── ParameterError     params.yaml: a key unknown, missing, of a wrong type or out of range
    ├── InstructionError   classes.yaml, decisions or confused pairs: a line that cannot be obeyed
    ├── InputError         pictures, tables or folders that are absent, empty or not what they should be
    ├── BaseError          data/base: another network, another input size, a checksum that does not hold
    ├── TrainingError      training cannot go on: the loss is not a number, memory or disk is full
    ├── RepositoryError    git or DVC stand in the way: uncommitted changes, a stale dvc.lock, a tag in use
    ├── RemoteError        DVC's remote cannot be used, or it or the cache lacks or damaged what a commit needs
    └── GateError          the model did not pass its gate

A message says what is wrong, what was expected, what came, and what to do about it.
"""


class RetrainError(Exception):
    """Something that the user can mend."""


class ParameterError(RetrainError):
    """A key of params.yaml is unknown, missing, of a wrong type or out of range."""


class InstructionError(RetrainError):
    """A line of classes.yaml, of the decisions or of the confused pairs cannot be obeyed."""


class InputError(RetrainError):
    """Pictures, tables or folders are absent, empty or not what they should be."""


class BaseError(RetrainError):
    """The release in data/base cannot be what training starts from."""


class TrainingError(RetrainError):
    """Training cannot go on."""


class RepositoryError(RetrainError):
    """The state of git or of DVC does not allow what was asked for."""


class RemoteError(RetrainError):
    """DVC's remote cannot be used, or it or the cache lacks or damaged what a commit needs."""


class GateError(RetrainError):
    """The model did not pass its gate."""


def is_storage_failure(error: Exception) -> bool:
    """Say whether a storage failed, and not our code: DVC, git, the system or the client of a remote raised the error.

    Every client has classes of its own for it, which it may wrap in a built-in one; those of the system are OSError. A
    bug of ours raises a built-in one, such as TypeError or KeyError, and what a user can mend is said already.
    """
    if isinstance(error, RetrainError):
        return False
    if isinstance(error, OSError) or type(error).__module__ != "builtins":
        return True
    return isinstance(error.__cause__, Exception) and is_storage_failure(error.__cause__)
