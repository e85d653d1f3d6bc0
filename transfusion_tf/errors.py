"""The error that is the user's to mend."""


class UserError(ValueError):
    """Something that the user gave is wrong: shown as one message, no traceback.

    The message says what was wrong, where (file, row, flag), and what would be
    right.
    """


def one_of(what: str, given: object, valid: object) -> UserError:
    """The error for a name that is not among the valid ones."""
    listed = ", ".join(str(name) for name in valid)  # type: ignore[attr-defined]
    return UserError(f"unknown {what} {str(given)!r}; valid: {listed}")
