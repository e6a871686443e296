"""Values that a recipe is composed of: written to JSON, read back, changed by `key=value`.

A value is a frozen dataclass, such as `SGD(lr=0.1)`, that computes something and says itself in
words. A field's type may tell its range: `p: Share = 0.5`. A field of a recipe that holds a value,
or a tuple of several, names the classes it may hold: `loss: Loss = choice(LOSSES, Focal())`.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar, get_type_hints

from inference import UserError
from inference.spelling import did_you_mean, listed

Kinds = Mapping[str, type]
T = TypeVar("T")
Path = tuple[str, ...]  # names from a recipe to a field
Check = Callable[[object, str], None]  # of a value and the name of its field; raises UserError


def choice(kinds: Kinds, default: Any) -> Any:
    """Return a dataclass field that holds one of `kinds`, or a tuple of them."""
    return dataclasses.field(default=default, metadata={"kinds": kinds})


def named(*classes: type) -> dict[str, type]:
    """Return classes by their names."""
    return {kind.__name__: kind for kind in classes}


# ---- ranges: a field's type may tell one, as in `Annotated[int, at_least(1)]`


def expect_at_least(owner: object, least: float, *names: str) -> None:
    """Raise UserError unless fields of a value are numbers from `least` up."""
    for name in names:
        value = getattr(owner, name)
        if not value >= least:
            whole = "a whole number" if isinstance(value, int) else "a number"
            raise UserError(f"{_spelt(owner, name)}={value}: it is {whole} from {least:g} up")


def at_least(least: float) -> Check:
    """Return the range of numbers from `least` up."""
    return lambda owner, name: expect_at_least(owner, least, name)


def one_of(words: Collection[str]) -> Check:
    """Return the range of a few words."""

    def check(owner: object, name: str) -> None:
        value = getattr(owner, name)
        if value not in words:
            there = listed(str(value), words)
            raise UserError(f"{_spelt(owner, name)}={value}: it is one of {there}")

    return check


def shares(count: int) -> Check:
    """Return the range of `count` shares, each from 0 to 1."""

    def check(owner: object, name: str) -> None:
        value = getattr(owner, name)
        if len(value) != count or not all(0 <= share <= 1 for share in value):
            given = f"{_spelt(owner, name)}={as_argument(value)}"
            raise UserError(f"{given}: it is {count} shares, each from 0 to 1")

    return check


def _expect_share(owner: object, name: str, below_one: bool = False) -> None:
    value = getattr(owner, name)
    if not 0 <= value <= 1 or (below_one and value == 1):
        to = "less than 1" if below_one else "1"
        raise UserError(f"{_spelt(owner, name)}={value}: it is a share, from 0 to {to}")


def _spelt(owner: object, name: str) -> str:
    """Return a field's name as the command line takes it: a recipe's own, or `cutmix.p`."""
    return f"{inner_name(owner)}.{name}" if isinstance(owner, Value) else name


Share = Annotated[float, _expect_share]
ShareBelowOne = Annotated[float, functools.partial(_expect_share, below_one=True)]

Count = Annotated[int, at_least(1)]
WholeNumber = Annotated[int, at_least(0)]
NotNegative = Annotated[float, at_least(0)]


def check_ranges(owner: object) -> None:
    """Raise UserError for a field of a dataclass that is out of its type's range."""
    kind: Any = type(owner)
    for name, check in _ranges(kind):
        check(owner, name)


@functools.cache
def _ranges(kind: type) -> list[tuple[str, Check]]:
    types = get_type_hints(kind, include_extras=True)
    return [(name, check) for name in types for check in getattr(types[name], "__metadata__", ())]


@dataclasses.dataclass(frozen=True)
class Value:
    """A part of a recipe, such as an optimiser or an augmentation.

    A subclass that changes a field's default has to repeat its type, or the range is lost.

    Attributes:
        words: what it says of itself, with its fields in braces.
    """

    words: ClassVar[str]

    def __post_init__(self) -> None:
        """Raise UserError for a field out of its type's range."""
        check_ranges(self)

    def describe(self) -> str:
        """Return the value in words."""
        return self.words.format(**vars(self))


# ---- JSON


def to_plain(value: Any) -> Any:
    """Return a value as JSON holds it: a dataclass is an object that names its `kind`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: type[T], fields: Any) -> T:
    """Return the value of a class that `to_plain` described.

    Raises:
        UserError: the description is of another version of this program, or out of range.
    """
    if not isinstance(fields, Mapping):
        raise UserError(f"{_short(fields)} describes no {kind.__name__}")
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {key: value for key, value in fields.items() if key != "kind"}
    missing = dataclasses.MISSING
    needed = {n for n, f in known.items() if f.default is missing and f.default_factory is missing}
    odd = (given.keys() - known.keys()) | (needed - given.keys())
    if odd:
        names = ", ".join(sorted(odd))
        raise UserError(f"it is of another version of this program (it differs in {names})")
    values = {}
    for name, value in given.items():
        values[name] = value = _field_from_plain(known[name], value)
        if known[name].default is not missing and not _fits(value, known[name]):
            raise UserError(f"{name} is {_short(value)}, which {kind.__name__} cannot hold")
    try:
        return kind(**values)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"it describes no {kind.__name__} ({error})") from error


def _fits(value: Any, field: dataclasses.Field) -> bool:
    """Return whether a field may hold a value, by what it holds by default."""
    default = field.default
    if "kinds" in field.metadata:
        return isinstance(value, tuple) == isinstance(default, tuple)
    if isinstance(default, float):
        return _is_number(value)
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(map(_is_number, value))
    return type(value) is type(default)


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _field_from_plain(field: dataclasses.Field, value: Any) -> Any:
    if "kinds" not in field.metadata:
        return _tuples(value)
    if isinstance(value, list):
        return tuple(_value_from_plain(field, item) for item in value)
    return _value_from_plain(field, value)


def _value_from_plain(field: dataclasses.Field, value: Any) -> Any:
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in field.metadata["kinds"]:
        raise UserError(f"it is of another version of this program ({field.name}: {_short(value)})")
    return from_plain(field.metadata["kinds"][kind], value)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# ---- key=value


def override(value: T, pairs: Sequence[str], fixed: Sequence[str] = ()) -> T:
    """Return a recipe with fields replaced, from words like `lr=0.05`, `cutmix.p=0`, `seed=1`.

    A field is called by its path (`optimizer.lr`, `augment.cutmix.p`) or by as much of its end as
    only one path has. A whole value is written as in the recipes, `optimizer=AdamW(lr=0.001)`, or
    by its name alone, which takes over what both have; `augment=Flip(),Shift(4)` names them all.

    Args:
        fixed: names of fields that cannot be replaced.

    Raises:
        UserError: not a `key=value`, no such field (the right ones are listed), or a value of
            another type.
    """
    changed: dict[str, Any] = {}  # together at the end: some make sense only beside others
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UserError(f"'{pair}' is not key=value")
        name, *rest = _find(value, changed, key, fixed)
        held = changed.get(name, getattr(value, name))
        changed[name] = _replace(_field(value, name), held, rest, key, text)
    return dataclasses.replace(value, **changed)  # type: ignore[type-var]


def leaves(
    value: object, changed: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[tuple[Path, Any]]:
    """Yield the path of every field and what it holds, a composed value before its own fields.

    Args:
        changed: fields that hold something else than the value's own.
    """
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        held = changed.get(field.name, getattr(value, field.name))
        yield (field.name,), held
        if "kinds" in field.metadata:
            several = isinstance(held, tuple)
            for item in held if several else (held,):
                start = (field.name, inner_name(item)) if several else (field.name,)
                yield from (((*start, *path), leaf) for path, leaf in leaves(item))


def inner_name(value: object) -> str:
    """Return what a value in a tuple of several is called in a path: `cutmix`."""
    return type(value).__name__.lower()


def _find(value: object, changed: Mapping[str, Any], key: str, fixed: Sequence[str]) -> Path:
    every = [path for path, _ in leaves(value, changed) if path[0] not in fixed]
    wanted = tuple(key.lower().split("."))
    found = [p for p in every if p == wanted] or [p for p in every if p[-len(wanted) :] == wanted]
    if len(found) == 1:
        return found[0]
    name = getattr(value, "name", type(value).__name__)
    if found:
        which = ", ".join(map(".".join, found))
        raise UserError(f"'{key}' is several fields of {name}; say which: {which}")
    short = dict.fromkeys(shortest(path, every) for path in every)
    there = listed(key, short, map(".".join, every))
    raise UserError(f"no field '{key}' in {name}; fields: {there}")


def shortest(path: Path, every: Sequence[Path]) -> str:
    """Return as much of a path's end as tells it from all others."""
    for start in range(len(path) - 1, 0, -1):
        end = path[start:]
        if sum(other[-len(end) :] == end for other in every) == 1:
            return ".".join(end)
    return ".".join(path)


def _field(value: object, name: str) -> dataclasses.Field:
    return next(f for f in dataclasses.fields(value) if f.name == name)  # type: ignore[arg-type]


def _replace(field: dataclasses.Field, held: Any, rest: Sequence[str], key: str, text: str) -> Any:
    """Return what a field holds after a change of it, or of what `rest` leads to within it."""
    if not rest:
        return _parse_field(field, key, text, held)
    name, *deeper = rest
    if isinstance(held, tuple):
        return tuple(
            _replace(field, item, deeper, key, text) if inner_name(item) == name else item
            for item in held
        )
    new = _replace(_field(held, name), getattr(held, name), deeper, key, text)
    return dataclasses.replace(held, **{name: new})


def as_argument(value: Any) -> str:
    """Return a value as the command line takes it: `AdamW(lr=0.001)`, `[1,5]`, `fp32`."""
    if isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
        return ",".join(map(as_argument, value))
    if dataclasses.is_dataclass(value):
        given = ",".join(
            f"{f.name}={_literal(getattr(value, f.name))}"
            for f in dataclasses.fields(value)
            if getattr(value, f.name) != f.default
        )
        return f"{type(value).__name__}({given})"
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _literal(value: Any) -> str:
    return repr(list(value) if isinstance(value, tuple) else value).replace(" ", "")


def _parse_field(field: dataclasses.Field, key: str, text: str, held: Any) -> Any:
    kinds = field.metadata.get("kinds")
    if kinds is None:
        return _parse_plain(key, text, held)
    several = isinstance(held, tuple)
    if several and text in ("", "none", "()"):
        return ()
    try:
        tree = ast.parse(f"({text},)" if several else text, mode="eval").body
        nodes = tree.elts if several else [tree]  # type: ignore[attr-defined]
        if several and len(nodes) == 1 and isinstance(nodes[0], ast.Tuple):
            nodes = nodes[0].elts
        new = tuple(_parse_value(node, kinds, None if several else held) for node in nodes)
    except (SyntaxError, ValueError, TypeError, AttributeError, KeyError) as error:
        example = f"{key}={next(iter(kinds))}()"
        there = listed(error.args[0] if isinstance(error, KeyError) else "", kinds)
        raise UserError(f"{key}={text}: write it like {example}; there are: {there}") from error
    return new if several else new[0]


def _parse_value(node: ast.expr, kinds: Kinds, old: Any) -> Any:
    """Return the value that an expression like `AdamW(lr=0.001)` names; nothing is evaluated.

    Args:
        old: a value that lends its fields to one that is called by its name alone; or None.
    """
    call = node if isinstance(node, ast.Call) else None
    name = (call.func if call else node).id  # type: ignore[union-attr, attr-defined]
    by_name = {known.lower(): kind for known, kind in kinds.items()}
    kind: Any = by_name[name.lower()]  # KeyError: there is none
    fields = [f.name for f in dataclasses.fields(kind)]
    if call is None and old is not None:
        return kind(**{name: getattr(old, name) for name in fields if name in vars(old)})
    arguments = [_tuples(ast.literal_eval(a)) for a in call.args] if call else []
    given = call.keywords if call else []
    for odd in (str(k.arg) for k in given if k.arg not in fields):
        there = listed(odd, fields) or "none"
        raise UserError(f"no field '{odd}' in {kind.__name__}; fields: {there}")
    made = kind(*arguments, **{str(k.arg): _tuples(ast.literal_eval(k.value)) for k in given})
    for field in dataclasses.fields(made):
        value = getattr(made, field.name)
        if not _fits(value, field):
            raise ValueError(f"{field.name}={value}")
        if isinstance(field.default, float):  # Rotate(30) is Rotate(30.0), in recipe.json too
            made = dataclasses.replace(made, **{field.name: float(value)})
    return made


def _parse_plain(key: str, text: str, now: Any) -> Any:
    if isinstance(now, str):
        return text
    try:
        value = _tuples(json.loads(text))
    except ValueError:
        value = text
    if isinstance(now, float) and type(value) is int:
        value = float(value)
    if isinstance(value, tuple) and not all(map(_is_number, value)):
        raise UserError(f"{key}={text}: it holds numbers; now it is {json.dumps(now)}")
    if type(value) is not type(now):
        meant = did_you_mean(text, ("true", "false")) if isinstance(now, bool) else ""
        said = f"{key}={text} is no {type(now).__name__}; now it is {json.dumps(now)}"
        raise UserError(f"{said}{meant}")
    return value
