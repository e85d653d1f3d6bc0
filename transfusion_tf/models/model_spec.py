"""Names of models, with options: `resnet50[slim_after=block2,width=0.5]`."""

import re
from dataclasses import dataclass

from transfusion_tf.errors import UserError, one_of
from transfusion_tf.models.architectures import ARCHITECTURES
from transfusion_tf.models.input_scaling import check_input_scaling

_OPTIONS = ("slim_after", "width", "blocks", "input_scaling")


@dataclass(frozen=True)
class ModelSpec:
    """A model's name, taken apart. `str()` of it is the name in canonical form.

    Attributes:
      architecture: A key of `ARCHITECTURES`.
      slim_after: Last stage with all its channels; None for a model not slimmed.
      width: Share of the channels that stay above it.
      blocks: How many of a DeiT's blocks there are; None for all.
      input_scaling: A scaling other than the architecture's own; None for that.
    """

    architecture: str
    slim_after: str | None = None
    width: float = 1.0
    blocks: int | None = None
    input_scaling: str | None = None

    def __str__(self) -> str:
        options = []
        if self.slim_after is not None:
            options += [f"slim_after={self.slim_after}", f"width={self.width:g}"]
        if self.blocks is not None:
            options.append(f"blocks={self.blocks}")
        if self.input_scaling is not None:
            options.append(f"input_scaling={self.input_scaling}")
        return self.architecture + (f"[{','.join(options)}]" if options else "")


def model_names() -> tuple[str, ...]:
    """The names that `build` knows, without options."""
    return tuple(ARCHITECTURES)


def parse_model_name(text: str) -> ModelSpec:
    """Takes `name` or `name[key=value,...]` apart.

    Keys: `slim_after` (a stage) and `width` (default 0.5), of convolutional networks;
    `blocks`, of a DeiT; `input_scaling`. Whether the stage exists is seen when the
    model is built.

    Raises:
      UserError: If the text is malformed, or a name, key or value is not valid;
        the message lists what is.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(?:\[(.*)\])?\s*", text)
    if match is None:
        raise UserError(
            f"cannot read model {text!r}: expected a name, or name[key=value,...] "
            "as in resnet50[slim_after=block2,width=0.5]"
        )
    name, inner = match.groups()
    if name not in ARCHITECTURES:
        raise one_of("model", name, model_names())
    options = _parse_options(text, inner)
    if "width" in options and "slim_after" not in options:
        raise UserError(f"model {text!r}: width needs slim_after=<stage> beside it")
    if "input_scaling" in options:
        check_input_scaling(options["input_scaling"])
    slim_after = options.get("slim_after")
    if slim_after and ARCHITECTURES[name].blocks:
        raise UserError(
            f"model {text!r}: only convolutional networks can be slimmed; of a DeiT, "
            "blocks=<number> keeps the first blocks"
        )
    return ModelSpec(
        architecture=name,
        slim_after=slim_after,
        width=_parse_width(text, options.get("width", "0.5")) if slim_after else 1.0,
        blocks=_parse_blocks(text, name, options.get("blocks")),
        input_scaling=options.get("input_scaling"),
    )


def _parse_options(text: str, inner: str | None) -> dict[str, str]:
    options: dict[str, str] = {}
    for item in (inner or "").split(","):
        if not item.strip() and not (inner or "").strip():
            continue
        key, equals, value = (part.strip() for part in item.partition("="))
        if key not in _OPTIONS or not equals or not value:
            raise UserError(
                f"model {text!r}: cannot read option {item.strip()!r}; "
                f"expected key=value with a key of {', '.join(_OPTIONS)}"
            )
        if key in options:
            raise UserError(f"model {text!r}: option {key} is given twice")
        options[key] = value
    return options


def _parse_width(text: str, value: str) -> float:
    try:
        width = float(value)
    except ValueError:
        width = float("nan")
    if not 0 < width < 1:
        raise UserError(
            f"model {text!r}: width must be a number more than 0 and less than 1, "
            f"not {value!r}"
        )
    return width


def _parse_blocks(text: str, name: str, value: str | None) -> int | None:
    """None where nothing is cut, so that all blocks are written in one way only."""
    if value is None:
        return None
    architecture = ARCHITECTURES[name]
    if architecture.blocks is None or not architecture.takes_blocks:
        raise UserError(f"model {text!r}: only a DeiT can be cut to its first blocks")
    if not value.isdecimal() or not 1 <= int(value) <= architecture.blocks:
        raise UserError(
            f"model {text!r}: blocks must be a whole number from 1 to "
            f"{architecture.blocks}, not {value!r}"
        )
    return None if int(value) == architecture.blocks else int(value)
