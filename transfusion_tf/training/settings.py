"""What a field of `RunConfig` means to a user, kept beside its default.

Flags, checks, run ids and the report's recipe are made from it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from transfusion_tf.errors import UserError, one_of

_KEY = "setting"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """What a field of `RunConfig` means to a user.

    Attributes:
      help: what it is, in a sentence: what `--help` says.
      flag: whether what trains has a flag of the field's name.
      from_card: whether the card's `[training]` answers where the flag is not given;
        else the field's default does.
      recipe: whether the report's recipe shows it: `always`; `used`, where a run has
        another value than the default and this has an effect; or `never`.
      location: whether it tells only where things lie or come from, not what is
        computed: two configs that differ only there are the same run.
      choices: the valid values, or empty.
      at_least: the least valid number, or None.
      above: what a valid number lies above, or None.
      below: what a valid number lies below, or None; goes with `at_least`.
    """

    help: str
    flag: bool = True
    from_card: bool = False
    recipe: Literal["always", "used", "never"] = "used"
    location: bool = False
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    above: float | None = None
    below: float | None = None

    def check(self, name: str, value: Any) -> None:
        """Raises UserError, naming the field's flag, where the value is not valid."""
        if self.choices and value not in self.choices:
            raise one_of(f"--{name}", value, self.choices)
        if self.below is not None and self.at_least is not None:
            valid = self.at_least <= value < self.below
            rule = f"must be in [{self.at_least:g}, {self.below:g})"
        elif self.at_least is not None:
            valid, rule = value >= self.at_least, f"must be at least {self.at_least:g}"
        elif self.above is not None:
            valid, rule = value > self.above, f"must be above {self.above:g}"
        else:
            return
        if not valid:
            raise UserError(f"--{name} {rule}, got {value}")


def described(help: str, **settings: Any) -> Mapping[str, Setting]:
    """The metadata of a field: see `Setting`."""
    return {_KEY: Setting(help=help, **settings)}


def setting(default: Any, help: str, **settings: Any) -> Any:
    """A field with this default: see `Setting`."""
    return dataclasses.field(default=default, metadata=described(help, **settings))


def setting_of(field: dataclasses.Field) -> Setting:
    """What the field's metadata say."""
    return field.metadata[_KEY]
