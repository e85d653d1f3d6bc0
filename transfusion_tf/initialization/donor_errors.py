"""What can be wrong with a donor."""

from transfusion_tf.errors import UserError


class DonorUnavailableError(UserError):
    """There is no such donor, or it cannot be had from here."""


class DonorMismatchError(UserError):
    """Donor and model do not fit: the message names the tensors of both sides."""


def mismatch(
    donor: str,
    model: str,
    *,
    only_in_donor: list[str],
    only_in_model: list[str],
    shapes_differ: list[str],
    purpose: str = "",
) -> DonorMismatchError:
    """The error for tensors that only one side has, or both in other shapes."""
    parts = [
        f"{title}: {_some(items)}"
        for title, items in (
            ("only in the donor", only_in_donor),
            ("only in the model", only_in_model),
            ("of different shape", shapes_differ),
        )
        if items
    ]
    return DonorMismatchError(
        f"donor {donor} does not fit model {model}{purpose}; " + "; ".join(parts)
    )


def _some(items: list[str]) -> str:
    limit = 6
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
