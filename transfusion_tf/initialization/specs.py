"""Initialization specs: `random`, `mean_var[bn=transfer]`, `transfer:block2+sampled`.

| spec | meaning |
|---|---|
| `random` | the architecture's own random initialization |
| `transfer` | all donor weights, the head excepted |
| `mean_var` | normal values with each donor tensor's mean and variance |
| `sampled`, `shuffled` | the donor tensor's values, with and without replacement |
| `transfer:STAGE` | the donor up to and including the stage, `random` above |
| `transfer:STAGE+SCHEME` | the same, one of the three schemes before this above |
| `gabor` | Gabor filters in the first convolution, `random` above |

`mean_var`, `sampled` and `shuffled` take options in brackets, with a comma between:
`bn=...`, the treatment of normalization layers: `identity` (default), `transfer`,
`mean_var`, or the scheme's own name; `strict_reference`, as the feature-reuse paper's
published code has it: a transformer's tokens, position embeddings and relative position
biases stay the donor's, where they too should be drawn from their statistics.
"""

import re
from dataclasses import dataclass, replace

from transfusion_tf.errors import UserError, closest, valid_names

STATISTICS_SCHEMES = ("mean_var", "sampled", "shuffled")
SCHEMES = ("random", "transfer", *STATISTICS_SCHEMES, "gabor")
_ABOVE_SCHEMES = ("random", *STATISTICS_SCHEMES)
_STRICT = "strict_reference"


@dataclass(frozen=True)
class InitializationSpec:
    """How a model gets its weights. `str()` of it is the spec in canonical form.

    Attributes:
      scheme: One of `SCHEMES`, for the whole model, or, if `through` is given,
        `transfer` for the stages up to it.
      through: Last stage that takes the donor's weights; None for all of them.
      above: Scheme of the stages above `through`.
      batch_norm: What `mean_var`, `sampled` and `shuffled` do to normalization
        layers: `identity`, `transfer`, or a statistics scheme.
      strict_reference: Whether they leave a transformer's embeddings the donor's.
    """

    scheme: str
    through: str | None = None
    above: str = "random"
    batch_norm: str = "identity"
    strict_reference: bool = False

    @property
    def needs_donor(self) -> bool:
        """Whether it takes anything from a donor (`gabor` may, but need not)."""
        return self.scheme not in ("random", "gabor")

    @property
    def statistics_scheme(self) -> str | None:
        """The scheme that the options in brackets qualify, if the spec has one."""
        for scheme in (self.scheme, self.above):
            if scheme in STATISTICS_SCHEMES:
                return scheme
        return None

    def strictly(self) -> "InitializationSpec":
        """The same with `strict_reference`.

        Raises:
          UserError: If no statistics are taken, which the option is about.
        """
        if self.statistics_scheme is None:
            raise UserError(
                f"{_STRICT} goes with {', '.join(STATISTICS_SCHEMES)}, not with "
                f"{str(self)!r}"
            )
        return replace(self, strict_reference=True)

    def __str__(self) -> str:
        text = self.scheme
        if self.through is not None:
            text += f":{self.through}"
            if self.above != "random":
                text += f"+{self.above}"
        options = []
        if self.batch_norm != "identity":
            options.append(f"bn={self.batch_norm}")
        if self.strict_reference:
            options.append(_STRICT)
        return text + (f"[{','.join(options)}]" if options else "")


def parse_spec(text: str) -> InitializationSpec:
    """Reads a spec; whether its stage exists is seen when it meets a model.

    Raises:
      UserError: If the text is malformed or names an unknown scheme or option; the
        message lists the valid ones.
    """
    match = re.fullmatch(
        r"\s*(\w+)\s*(?::\s*(\w+)\s*)?(?:\+\s*(\w+)\s*)?(?:\[\s*(.*?)\s*\])?\s*", text
    )
    if match is None:
        forms = ", ".join(_forms())
        raise UserError(f"cannot read initialization {text!r}; expected one of {forms}")
    scheme, through, above, inner = match.groups()
    if scheme not in SCHEMES:
        raise UserError(
            f"unknown initialization {scheme!r} in {text!r}"
            f"{valid_names(scheme, _forms())}"
        )
    if (through or above) and scheme != "transfer":
        raise UserError(
            f"initialization {text!r}: only transfer takes a stage, as in "
            "transfer:block2 or transfer:block2+mean_var"
        )
    if above and not through:
        raise UserError(
            f"initialization {text!r}: name the last stage to transfer, as in "
            f"transfer:block2+{above}"
        )
    if above and above not in _ABOVE_SCHEMES:
        hint = closest(above, _ABOVE_SCHEMES)
        raise UserError(
            f"initialization {text!r}: above the stage stands one of "
            f"{', '.join(_ABOVE_SCHEMES)}, not {above!r}{hint}"
        )
    batch_norm, strict_reference = _parse_options(text, above or scheme, inner)
    return InitializationSpec(
        scheme=scheme,
        through=through,
        above=above or "random",
        batch_norm=batch_norm,
        strict_reference=strict_reference,
    )


def _parse_options(text: str, scheme: str, inner: str | None) -> tuple[str, bool]:
    """Batch norm treatment, and whether `strict_reference` is there."""
    if inner is None:
        return "identity", False
    if scheme not in STATISTICS_SCHEMES:
        raise UserError(
            f"initialization {text!r}: only {', '.join(STATISTICS_SCHEMES)} "
            f"take [bn=...] and [{_STRICT}]"
        )
    treatments = tuple(dict.fromkeys(("identity", "transfer", "mean_var", scheme)))
    found: dict[str, str] = {}
    for option in inner.split(","):
        key, equals, value = (part.strip() for part in option.partition("="))
        # `strict_reference=True` says the same as `strict_reference`.
        strict = key == _STRICT and (not equals or value == "True")
        known = value in treatments if key == "bn" else strict
        if not known or key in found:
            raise UserError(
                f"initialization {text!r}: cannot read [{inner}]; expected [bn=...] "
                f"with one of {', '.join(treatments)}, [{_STRICT}], or both with a "
                "comma between"
            )
        found[key] = value
    return found.get("bn", "identity"), _STRICT in found


def _forms() -> tuple[str, ...]:
    return (
        *SCHEMES,
        "transfer:<stage>",
        "transfer:<stage>+<scheme>",
        "mean_var[bn=...]",
        f"mean_var[{_STRICT}]",
    )
