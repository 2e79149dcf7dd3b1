"""What varies from image to image: flags of the command line, or fields of the model, with the words of values."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Protocol

import numpy as np

from nanobragg.engine.deviates import LEAST, NORMAL, deviates
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.kernels.image.random import misset_of

ORIENTATION_STREAM, SEED_STREAM, DRAW_STREAM = 1, 2, 1 << 33
DRAWS = ("uniform", "normal", "lognormal", "choice")
DIGITS = 15
YES, NO = "true", "false"
FLAG, FIELD = "flag", "field"
MISSET_FLAG, MISSET_FIELD = "-misset", "crystal.misset_deg"
SEPARATORS = {".csv": ",", ".tsv": "\t"}


class Axis(Protocol):
    """One thing that varies, or several that do so together."""

    @property
    def names(self) -> tuple[str, ...]:
        """The flags or fields that it gives."""

    @property
    def length(self) -> int | None:
        """How many different places it has; ``None`` for as many as there are images."""

    def given(self, place: int) -> list[tuple[str, list[str]]]:
        """The flags or fields of a place, each with the words of its value."""

    def canonical(self) -> dict[str, Any]:
        """Itself as JSON, from which `axis_of` makes it again."""


@dataclasses.dataclass(frozen=True)
class Values:
    """A list of values; each has as many words as the flag or field takes."""

    name: str
    rows: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The only one."""
        return (self.name,)

    @property
    def length(self) -> int:
        """Number of values."""
        return len(self.rows)

    def given(self, place: int) -> list[tuple[str, list[str]]]:
        """Flag and value."""
        return [(self.name, list(self.rows[place]))]

    def canonical(self) -> dict[str, Any]:
        """As in a job file."""
        return {kind_of(self.name): self.name, "values": [list(row) for row in self.rows]}


@dataclasses.dataclass(frozen=True)
class Range:
    """Evenly spaced values, in decimal arithmetic: 3 x 0.1 is 0.3."""

    name: str
    start: Decimal
    step: Decimal
    length: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """The only one."""
        return (self.name,)

    def given(self, place: int) -> list[tuple[str, list[str]]]:
        """Flag and value."""
        return [(self.name, [plain(self.start + self.step * place)])]

    def canonical(self) -> dict[str, Any]:
        """As in a job file."""
        kept: dict[str, Any] = {kind_of(self.name): self.name, "start": str(self.start), "step": str(self.step)}
        return kept if self.length is None else kept | {"count": self.length}


@dataclasses.dataclass(frozen=True)
class Orientation:
    """Uniformly random orientations; each depends on the job's seed and the number of its image alone."""

    seed: int
    name: str = MISSET_FLAG
    length: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The only one."""
        return (self.name,)

    def given(self, place: int) -> list[tuple[str, list[str]]]:
        """Misset angles, degrees."""
        angles = misset_of(*deviates(self.seed, ORIENTATION_STREAM, place, 3))
        return [(self.name, [repr(math.degrees(angle)) for angle in angles])]

    def canonical(self) -> dict[str, Any]:
        """As in a job file."""
        return {"orientation": "random", "name": self.name}


@dataclasses.dataclass(frozen=True)
class RandomValues:
    """Random values; each depends on the job's seed, the name, and the number of its image alone.

    ``kind`` is one of `DRAWS`; ``first`` and ``second`` are the ends of ``uniform``, mean and standard deviation of
    ``normal``, median and standard deviation of the logarithm of ``lognormal``, a number each or a list of as many;
    ``choices`` are the words of those of ``choice``. ``least`` and ``most`` bound numbers, ``whole`` rounds them.
    """

    name: str
    seed: int
    kind: str
    first: tuple[float, ...] = ()
    second: tuple[float, ...] = ()
    choices: tuple[tuple[str, ...], ...] = ()
    least: float = -math.inf
    most: float = math.inf
    whole: bool = False
    length: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The only one."""
        return (self.name,)

    def given(self, place: int) -> list[tuple[str, list[str]]]:
        """Name and drawn value."""
        stream = DRAW_STREAM + zlib.crc32(self.name.encode())
        drawn = deviates(self.seed, stream, place, max(len(self.first), 1))
        if self.kind == "choice":
            return [(self.name, list(self.choices[int(drawn[0] * len(self.choices))]))]
        values = [self._value(u, a, b) for u, a, b in zip(drawn, self.first, self.second, strict=True)]
        return [(self.name, [str(round(x)) if self.whole else repr(x) for x in values])]

    def _value(self, u: float, first: float, second: float) -> float:
        normal = NORMAL.inv_cdf(u or LEAST)
        if self.kind == "uniform":
            value = first + (second - first) * u
        else:
            value = first + second * normal if self.kind == "normal" else first * math.exp(min(second * normal, 700.0))
        return min(max(value, self.least), self.most)

    def canonical(self) -> dict[str, Any]:
        """As in a job file."""
        said: dict[str, Any] = {kind_of(self.name): self.name, "draw": self.kind, "whole": self.whole}
        if self.kind == "choice":
            return said | {"choices": [list(row) for row in self.choices]}
        said |= {"first": list(self.first), "second": list(self.second)}
        bounds = {"least": self.least, "most": self.most}
        return said | {key: value for key, value in bounds.items() if math.isfinite(value)}


class Table:
    """A table with one row per image; its columns are named by flags or fields.

    Rows are read from the text as they are asked for. An empty place leaves its flag or field out. Of flags, ``false``
    does so too, and ``true`` gives one that takes no value; of fields they are values. Several numbers are separated by
    blanks; what stands for a flag in ``whole``, which names a file, and a text for a field, are one value.
    """

    def __init__(self, path: str, name: str, whole: Sequence[str] = ()):
        self.path, self.name, self._whole = path, name, tuple(whole)
        separator = SEPARATORS.get(os.path.splitext(name)[1].lower())
        if separator is None:
            raise BadInput(f"table {name}: the name of a table ends in .csv or .tsv")
        self._separator = separator
        try:
            with open(path, "rb") as file:
                self._text = file.read()
        except OSError as error:
            raise BadInput(f"table {name}: {reason(error)}") from None
        if b'"' in self._text:
            raise BadInput(f"table {name}: holds quotation marks; separate several values of a flag by blanks instead")
        ends = np.flatnonzero(np.frombuffer(self._text, np.uint8) == ord("\n"))
        starts = np.concatenate([[0], ends + 1])
        stops = np.concatenate([ends, [len(self._text)]])
        lines = len(starts)
        while lines and not self._text[starts[lines - 1] : stops[lines - 1]].strip():
            lines -= 1
        self._starts, self._stops = starts[:lines], stops[:lines]
        if not lines or not self._text[starts[0] : stops[0]].strip():
            raise BadInput(f"table {name}: is empty, or its first line is")
        self.names = tuple(self._fields(0))

    def _fields(self, line: int) -> list[str]:
        try:
            text = self._text[self._starts[line] : self._stops[line]].decode("utf-8-sig")
        except UnicodeDecodeError:
            raise BadInput(f"table {self.name}: line {line + 1} is no text") from None
        if not text.strip():
            raise BadInput(f"table {self.name}: line {line + 1} is empty")
        return [field.strip() for field in text.rstrip("\r").split(self._separator)]

    @property
    def length(self) -> int:
        """Number of rows."""
        return len(self._starts) - 1

    def given(self, place: int) -> list[tuple[str, list[str]]]:
        """Flags of a row with the words of their values; those of empty fields are left out."""
        fields = self._fields(place + 1)
        if len(fields) != len(self.names):
            raise BadInput(
                f"table {self.name}: line {place + 2} has {len(fields)} fields, the first line {len(self.names)}"
            )
        there = [(name, text) for name, text in zip(self.names, fields, strict=True) if text]
        return [(name, self._words(name, text)) for name, text in there if kind_of(name) == FIELD or text != NO]

    def _words(self, name: str, text: str) -> list[str]:
        if name in self._whole:
            return [text]
        if kind_of(name) == FIELD:
            words = text.split()
            return words if all(map(is_number, words)) else [text]
        return [] if text == YES else text.split()

    def canonical(self) -> dict[str, Any]:
        """Its name; what is in it is known by the digest of the job's inputs."""
        return {"table": self.name, "whole": list(self._whole)}


def is_number(word: str) -> bool:
    """Whether a word reads as a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def kind_of(name: str) -> str:
    """Whether a name is a flag's or a field's."""
    return FLAG if name.startswith("-") else FIELD


def words_of(axis: Axis, place: int) -> list[str]:
    """The arguments that an axis gives at a place."""
    return [word for flag, values in axis.given(place) for word in (flag, *values)]


def plain(number: Decimal) -> str:
    """A number as a user would write it."""
    text = f"{number:.{DIGITS}g}"
    value = Decimal(text).normalize()
    return f"{value:f}" if -6 <= value.adjusted() <= DIGITS else str(value)


def axis_of(canonical: dict[str, Any], folder: str, seed: int) -> Axis:
    """The axis that `Axis.canonical` describes; file names are relative to ``folder``."""
    if "orientation" in canonical:
        return Orientation(seed, canonical.get("name", MISSET_FLAG))
    if "table" in canonical:
        return Table(os.path.join(folder, canonical["table"]), canonical["table"], canonical["whole"])
    name = canonical[FLAG] if FLAG in canonical else canonical[FIELD]
    if "draw" in canonical:
        rows = tuple(tuple(row) for row in canonical.get("choices", ()))
        return RandomValues(
            name, seed, canonical["draw"], tuple(canonical.get("first", ())), tuple(canonical.get("second", ())), rows,
            canonical.get("least", -math.inf), canonical.get("most", math.inf), canonical["whole"],
        )  # fmt: skip
    if "values" in canonical:
        return Values(name, tuple(tuple(row) for row in canonical["values"]))
    return Range(name, Decimal(canonical["start"]), Decimal(canonical["step"]), canonical.get("count"))


def places(axes: Sequence[Axis], combine: str, image: int) -> Iterator[tuple[Axis, int]]:
    """Where each axis stands for an image: all at its number, or each at its own, the last one going fastest."""
    if combine == "together":
        yield from ((axis, image) for axis in axes)
        return
    rest, found = image, []
    for axis in reversed(axes):
        if axis.length is None:
            found.append((axis, image))
        else:
            rest, place = divmod(rest, axis.length)
            found.append((axis, place))
    yield from reversed(found)


LARGEST_SEED, MASK = 2**31 - 2, 2**31 - 1


def _scrambled(number: int) -> int:
    """A permutation of the numbers of 31 bits, far from the order that neighbours had."""
    number ^= 0x2545F491
    for shift, factor in ((16, 0x7FEB352D), (15, 0x46CA68B), (16, 1)):
        number ^= number >> shift
        number = number * factor & MASK
    return number


def seed_of(seed: int, number: int, kind: int) -> int:
    """A seed for the original's generator, 1 ... 2^31 - 2: no two images of a job have the same one."""
    offset = int(deviates(seed, SEED_STREAM, kind, 1)[0] * LARGEST_SEED)
    seed_of_image = _scrambled(1 + (number + offset) % LARGEST_SEED)
    while not 1 <= seed_of_image <= LARGEST_SEED:
        seed_of_image = _scrambled(seed_of_image)
    return seed_of_image


def split_words(text: str, what: str) -> list[str]:
    """A command line as a shell would cut it."""
    try:
        return shlex.split(text, comments=False)
    except ValueError as error:
        raise BadInput(f"{what}: {error}") from None
