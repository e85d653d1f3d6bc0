"""The error that is the user's to mend."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something that the user gave is wrong: shown as one message, no traceback.

    The message says what was wrong, where (file, row, flag), and what would be
    right.
    """


def one_of(what: str, given: object, valid: Iterable[object]) -> UserError:
    """The error for a name that is not among the valid ones."""
    names = [str(name) for name in valid]
    hint = closest(str(given), names)
    return UserError(f"unknown {what} {str(given)!r}{hint}; valid: {', '.join(names)}")


def closest(given: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` where one of the names is much like the given one."""
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(given.casefold(), list(folded), 1)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""
