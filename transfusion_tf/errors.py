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
    return UserError(f"unknown {what} {str(given)!r}{valid_names(given, valid)}")


def valid_names(given: object, names: Iterable[object], what: str = "valid") -> str:
    """The end of a message about a name: what was perhaps meant, and all there are."""
    listed = [str(name) for name in names]
    hint = closest(given, listed)
    return f"{hint or ';'} {what}: {', '.join(listed)}"


def closest(given: object, names: Iterable[object]) -> str:
    """`; did you mean 'x'?` where one of the names is much like the given one."""
    folded = {str(name).casefold(): str(name) for name in names}
    # Below 0.7, "extra" would be hinted at as "train".
    close = difflib.get_close_matches(str(given).casefold(), list(folded), 1, 0.7)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""
