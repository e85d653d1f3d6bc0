"""TOML files whose keys are declared: a mistake is named with file, key and remedy.

A table is a frozen pydantic data class. Its fields hold what a key may be and what it
means; the messages of `checked` are made from these declarations.
"""

import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    TypeAdapter,
    ValidationError,
)

from transfusion_tf.errors import UserError, closest, valid_names

# What every table is declared with: unknown keys are errors, and so are NaN and inf.
# (Reading the docstrings of fields at import would take 10 ms per table, for nothing.)
TABLE = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]
Count = Annotated[StrictInt, Field(ge=1)]
# Whole numbers stay whole: fingerprints are made of the text of what a card says.
Number = StrictInt | StrictFloat

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table",
}
_UNKNOWN = "unexpected_keyword_argument"

T = TypeVar("T")


class WrongKey(ValueError):
    """Raised in a table's validator: what one of its keys should be."""

    def __init__(self, key: str, right: str):
        super().__init__(right)
        self.key = key


def rule(right: str, holds: Callable[[Any], object]) -> AfterValidator:
    """A further condition on a key, in an `Annotated` type: `right` says it."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(right)
        return value

    return AfterValidator(check)


def read_toml(path: Path) -> dict[str, Any]:
    """What stands in a TOML file. Raises UserError where it is not valid."""
    try:
        # Accents have two forms in Unicode; here it is always the composed one.
        text = unicodedata.normalize("NFC", path.read_text(encoding="utf-8-sig"))
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from error


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table's keys in place of another's; tables in both are laid over likewise.

    An empty table stands in place of the one below.
    """
    merged = dict(below)
    for key, value in above.items():
        if value and isinstance(value, dict) and isinstance(merged.get(key), dict):
            value = laid_over(merged[key], value)
        merged[key] = value
    return merged


def checked(
    kind: type[T],
    values: Mapping[str, Any],
    where: str | Path,
    table: str = "",
    given: Mapping[str, Any] | None = None,
) -> T:
    """A table's values as its data class.

    Args:
      kind: the data class, declared with `TABLE`.
      values: what stands in the file.
      where: the file, for messages.
      table: the key of the table, for messages; empty for the file itself.
      given: fields that are set beside those of the file, and are no keys of it.

    Raises:
      UserError: a key is missing, unknown, or not what it should be.
    """
    given = given or {}
    for key in given:
        if key in values:
            raise UserError(f"{where}: unknown key '{_dotted(table, key)}'")
    try:
        return kind(**dict(values) | dict(given))
    except ValidationError as error:
        # A misspelt key is the reason for one that is missing: it is told first.
        problem = min(error.errors(), key=lambda one: one["type"] != _UNKNOWN)
        schema = TypeAdapter(kind).json_schema()
        for key in given:
            schema["properties"].pop(key)
        raise UserError(f"{where}: {_sentence(problem, schema, table)}") from None


def _sentence(problem: Mapping[str, Any], schema: dict[str, Any], table: str) -> str:
    """What is wrong with which key, and what would be right."""
    location, got = problem["loc"], problem["input"]
    if problem["type"] == _UNKNOWN or location[-1:] == ("[key]",):
        *above, name = (part for part in location if part != "[key]")
        key, found = _at(schema, above, table)
        valid = found.get("propertyNames", {}).get("enum") or list(found["properties"])
        return f"unknown key '{_dotted(key, name)}'{valid_names(name, valid)}"
    key, found = _at(schema, location, table)
    if problem["type"] == "missing":
        return f"key '{key}' is missing; it should be {_right(found)}"
    if problem["type"] != "value_error":
        hint = closest(got, found.get("enum", ()))
        return f"key '{key}' should be {_right(found)}, got {got!r}{hint}"
    reason = problem["ctx"]["error"]
    if isinstance(reason, WrongKey):
        return f"key '{_dotted(key, reason.key)}' should be {reason}"
    return f"key '{key}' should be {reason}, got {got!r}"


def _at(
    schema: dict[str, Any], location: Iterable[str | int], table: str
) -> tuple[str, dict[str, Any]]:
    """The key that a problem's location stands for, and what is declared of it."""
    key, found = table, schema
    for part in location:
        if isinstance(part, int):
            below, name = found.get("items"), f"{key}[{part}]"
        else:
            other = found.get("additionalProperties")
            below = found.get("properties", {}).get(part, other)
            name = _dotted(key, part)
        if not isinstance(below, dict):
            break  # The rest names the members of a union.
        key = name
        found = _resolved(schema, below)
    return key, found


def _resolved(schema: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """A declaration without what may be left out, and without references."""
    some = [one for one in found.get("anyOf", ()) if one.get("type") != "null"]
    if len(some) == 1:
        found = some[0]
    if "$ref" in found:
        return schema["$defs"][found["$ref"].split("/")[-1]]
    return found


def _right(found: Mapping[str, Any]) -> str:
    """What a key should be, in words."""
    if "expected" in found:
        return found["expected"]
    if "enum" in found:
        return f"one of {', '.join(map(str, found['enum']))}"
    words = _KINDS[found.get("type", "number")]
    above = found.get("exclusiveMinimum", found.get("gt"))
    low = found.get("minimum", found.get("ge", above))
    high = found.get("maximum", found.get("le"))
    if high is not None:
        return f"{words}, {low} to {high}"
    if low is not None:
        return f"{words} {'of at least' if above is None else 'above'} {low}"
    full = found.get("minLength", found.get("minItems"))
    return f"{words}, not empty" if full else words


def _dotted(table: str, key: str) -> str:
    return f"{table}.{key}" if table else key
