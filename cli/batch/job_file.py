"""Job files: TOML to a checked `Job`. Everything that can be wrong is said before any work is done."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from nanobragg.cli.batch.lines import SetUps, file_places, plain_words
from nanobragg.cli.batch.scenes import Scenes
from nanobragg.cli.nanobragg.explain import mistakes
from nanobragg.cli.nanobragg.parse import parse
from nanobragg.cli.nanobragg.rules import COUNTS, INTENDED_TOGETHER, RULES, WORDS, Rule, rules_for
from nanobragg.cli.tools.plans import OUTPUTS
from nanobragg.engine.batch.job import job as jobs
from nanobragg.engine.batch.job.axes import Axis, Orientation, Table, axis_of, places, split_words, words_of
from nanobragg.engine.batch.job.job import Job, file_digest
from nanobragg.engine.batch.run.work import geometry_digest
from nanobragg.engine.batch.store.image_files import SUFFIX
from nanobragg.engine.c_numbers import DEGREES, real
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.cbf import cbf_package
from nanobragg.engine.formats.hdf5 import hdf5
from nanobragg.engine.formats.nexus import SENSORS, placement
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.original.sampling import phi_steps
from nanobragg.engine.render import BACKENDS, PRECISIONS

IN_ARGUMENTS = ("structure", "detector")  # keys that say what an option in the arguments says
KEYS = {
    "arguments", "images", "images_per_shard", "seed", "output", "backend", "precision", "noise", "values", "format",
    "combine", "sensor_material", "compression", "axis", *IN_ARGUMENTS,
}  # fmt: skip
AXES = {  # the keys that an axis may have, by the one that says its kind
    "orientation": {"orientation"},
    "table": {"table"},
    "values": {"flag", "values"},
    "start": {"flag", "start", "step", "stop", "count"},
}
ALONGSIDE = {"pivot", "convention", "misset_mode", "user_cell", "stol_mult", "write_pgm", "do_noise", "nopolar"}
IMAGES_PER_SHARD, MOST_IMAGES, MOST_PER_SHARD, MOST_SHARDS = 100, 100_000_000, 100_000, 1_000_000
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
WHOLE = re.compile(r"[+-]?\d{1,10}", re.ASCII)
MOST_ANGLES, SAME_STEP = 200_000, 1e-4  # images; how far steps may be from their width, as a share of it
MOST_DIGITS = 25  # before or after the point of a decimal number
DEFAULT_VALUES = {"smv": "uint16", "cbf": "int32", "float": "float32"}


def read_job(name: str, output: str | None = None, **instead: str) -> Job:
    """The job of a file, whose images `check` tries; ``output`` replaces its folder, ``instead`` other keys.

    Raises
    ------
    BadInput
        For anything in it that cannot be meant.
    """
    found = _toml(name) | instead
    unknown = set(found) - KEYS
    if unknown:
        raise BadInput(f"{name}: {', '.join(sorted(unknown))}: no such key (there are {', '.join(sorted(KEYS))})")
    folder = os.path.dirname(os.path.abspath(name))
    words = _arguments(found.get("arguments"), name)
    for key in IN_ARGUMENTS:
        if key in found:
            words += [f"--{key}", _text(found, key, name)]
    seed = _whole(found, "seed", name, 0, 2**63 - 1, 1)
    combine = _choice(found, "combine", name, jobs.COMBINE)
    axes = _axes(found.get("axis", []), name, folder, seed)
    images = _images(found, name, axes, combine)
    form = _choice(found, "format", name, jobs.FORMATS)
    default_noise = "none" if form == "float" or found.get("values") == "float32" else "philox"
    noise = _choice(found, "noise", name, (default_noise, *jobs.NOISES))
    values = _choice(found, "values", name, (_default_values(form, noise), *jobs.VALUES))
    _check_values(name, form, noise, values)
    per_shard = _whole(found, "images_per_shard", name, 1, MOST_PER_SHARD, IMAGES_PER_SHARD)
    where = output if output is not None else _text(found, "output", name)
    named = _inputs(words, axes, folder)
    if images > per_shard * MOST_SHARDS:
        raise BadInput(f"{name}: {images} images in shards of {per_shard} are too many files: raise images_per_shard")
    job = Job(
        arguments=tuple(words), images=images, images_per_shard=min(per_shard, images), seed=seed, combine=combine,
        axes=tuple(axis.canonical() for axis in axes), varying=_varying(axes),
        backend=_choice(found, "backend", name, BACKENDS),
        precision=_choice(found, "precision", name, PRECISIONS), noise=noise, values=values, format=form,
        sensor_material=_choice(found, "sensor_material", name, (_sensor_of(words), *SENSORS)),
        compression=_choice(found, "compression", name, jobs.COMPRESSIONS), scan=jobs.STILLS, inputs=named,
        folder=folder, output=os.path.abspath(os.path.join("" if output is not None else folder, where)),
    )  # fmt: skip
    return dataclasses.replace(job, scan=scan_of(job))


def _sensor_of(words: Sequence[str]) -> str:
    """The sensor of the detector that is named, if that is one that files have a word for."""
    model = plain_words(words)[1].detector
    return model.sensor if model is not None and model.sensor in SENSORS else SENSORS[0]


def scan_of(job: Job) -> str:
    """Whether the images are one scan of one crystal: in steps of their width, up or down. All else are stills."""
    if set(job.varying) - {"phi0", "seed", "mosaic_seed"}:
        return jobs.STILLS
    try:
        settings, *_ = SetUps(job).settings(job.words(0))
    except BadInput:  # `check` says so
        return jobs.STILLS
    width = phi_steps(settings).range
    if width <= 0.0 or job.images == 1:
        return jobs.RISING if width > 0.0 else jobs.STILLS
    angles = _angles(job)
    if angles is None:
        return jobs.STILLS
    steps = np.diff(angles) / DEGREES
    if (np.abs(steps - width) < SAME_STEP * width).all():
        return jobs.RISING
    return jobs.FALLING if (np.abs(steps + width) < SAME_STEP * width).all() else jobs.STILLS


def _angles(job: Job) -> np.ndarray | None:
    """Where each image begins to turn, degrees; `None` where no axis says so for each, or there are too many."""
    if job.images > MOST_ANGLES:
        return None
    found = []
    for image in range(job.images):
        words = job.varying_words(image)
        at = [i for i, word in enumerate(words[:-1]) if "phi0" in _set_by(word)]
        if len(at) != 1:
            return None
        found.append(real(words[at[0] + 1]))
    return np.array(found)


def _set_by(word: str) -> set[str]:
    return (
        {name for rule in rules_for(word, exact=True) for name in rule.effect(["1"] * 6)} if word[:1] == "-" else set()
    )


def _toml(name: str) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:  # before Python 3.11
        import tomli as tomllib
    try:
        with open(name, "rb") as file:
            return tomllib.load(file, parse_float=Decimal)
    except OSError as error:
        raise BadInput(f"{name}: {reason(error)}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name}: not a job file (TOML): {error}") from None


def _arguments(given: Any, name: str) -> list[str]:
    if isinstance(given, str):
        words = split_words(given, f"{name}: arguments")
    elif isinstance(given, list) and all(isinstance(word, str) for word in given):
        words = list(given)
    else:
        raise BadInput(f"{name}: arguments = must be nanoBragg's arguments, as one text or a list of texts")
    if any("\0" in word for word in words):
        raise BadInput(f"{name}: arguments: hold a character that no argument can hold")
    plain, physics = plain_words(words)
    for mistake in mistakes(parse(plain, {"seed": -1, "misset_seed": -1, "fixes": physics.fixes})):
        raise BadInput(f"{name}: arguments: {mistake}")
    return words


def _text(found: dict[str, Any], key: str, name: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadInput(f"{name}: {key} = must be given, a text")
    return value


def _choice(found: dict[str, Any], key: str, name: str, choices: Sequence[str]) -> str:
    """One of some words; the first is the default."""
    value = found.get(key, choices[0])
    if value not in choices:
        raise BadInput(f"{name}: {key} = {value!r}: not one of {', '.join(dict.fromkeys(choices))}")
    return str(value)


def _whole(found: dict[str, Any], key: str, name: str, lowest: int, highest: int, default: int | None = None) -> int:
    value = found.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise BadInput(f"{name}: {key} = {value}: not a whole number from {lowest} to {highest}")
    return value


def _default_values(form: str, noise: str) -> str:
    if form in DEFAULT_VALUES:
        return DEFAULT_VALUES[form]
    return {"none": "float32", "original": "uint16"}.get(noise, "int32")


def _check_values(name: str, form: str, noise: str, values: str) -> None:
    if form != "nxmx" and values != DEFAULT_VALUES[form]:
        raise BadInput(f"{name}: values = {values!r}: an image in format {form} holds {DEFAULT_VALUES[form]}")
    if values == "float32" and noise != "none":
        raise BadInput(f"{name}: noise = {noise!r}: float32 holds expected photons; counts are int32 or uint16")
    if noise == "original" and values != "uint16":
        raise BadInput(f"{name}: values = {values!r}: the original's noise has 16 bits: uint16, or noise = 'philox'")


def _axes(given: Any, name: str, folder: str, seed: int) -> list[Axis]:
    if not isinstance(given, list) or not all(isinstance(axis, dict) for axis in given):
        raise BadInput(f"{name}: axes are written [[axis]]")
    made = []
    for number, axis in enumerate(given, 1):
        what = f"{name}: axis {number}"
        kinds = [kind for kind in AXES if kind in axis]
        if len(kinds) != 1:
            raise BadInput(f"{what}: must have one of {', '.join(AXES)}, and has {', '.join(kinds) or 'none'}")
        unknown = set(axis) - AXES[kinds[0]]
        if unknown:
            raise BadInput(f"{what}: {', '.join(sorted(unknown))} cannot stand beside {kinds[0]}")
        made.append(_axis(kinds[0], axis, what, folder, seed))
    _check_contradictions(made, name)
    return made


def _axis(kind: str, axis: dict[str, Any], what: str, folder: str, seed: int) -> Axis:
    if kind == "orientation":
        if axis["orientation"] != "random":
            raise BadInput(f"{what}: orientation = {axis['orientation']!r}: only 'random' is known")
        return Orientation(seed)
    if kind == "table":
        table = Table(os.path.join(folder, _text(axis, "table", what)), axis["table"])
        files = [flag for flag in table.flags if rule_of(flag, f"table {table.name}: column").values == "file"]
        table = Table(table.path, table.name, files)
        _check_table(table)
        return table
    flag = _text(axis, "flag", what)
    if kind == "values":
        rows = [_value(value, what) for value in _list(axis["values"], what)]
        for row in rows:
            check_flag(flag, row, what)
        return axis_of({"flag": flag, "values": rows}, folder, seed)
    return _range(axis, flag, what, folder, seed)


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise BadInput(f"{what}: values = must be a list with something in it")
    return value


def _value(value: Any, what: str) -> list[str]:
    """The words of a value: a number, a text, a list of them for flags that take several, or true for flags alone."""
    if value is True:
        return []
    if isinstance(value, list):
        return [word for part in value for word in _value(part, what)]
    if isinstance(value, Decimal):
        return [f"{value:f}" if value.is_finite() and abs(value.adjusted()) < MOST_DIGITS else str(value)]
    if isinstance(value, int | str) and not isinstance(value, bool):
        return [str(value)]
    raise BadInput(f"{what}: {value!r} is no value of a flag")


def _range(axis: dict[str, Any], flag: str, what: str, folder: str, seed: int) -> Axis:
    numbers = {}
    for key in ("start", "step", "stop"):
        if key in axis:
            numbers[key] = _decimal(axis[key], f"{what}: {key}")
    count = _whole(axis, "count", what, 1, MOST_IMAGES) if "count" in axis else None
    if ("step" in numbers) == ("stop" in numbers):
        raise BadInput(f"{what}: a range is start and step, or start, stop and count")
    if "stop" in numbers:
        if count is None or count < 2:
            raise BadInput(f"{what}: start and stop need a count of 2 or more")
        numbers["step"] = (numbers["stop"] - numbers["start"]) / (count - 1)
    made = {"flag": flag, "start": str(numbers["start"]), "step": str(numbers["step"])}
    made_axis = axis_of(made if count is None else made | {"count": count}, folder, seed)
    check_flag(flag, made_axis.given(0)[0][1], what)
    return made_axis


def _decimal(value: Any, what: str) -> Decimal:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(value).is_finite()
    if not is_number or (value and abs(Decimal(value).adjusted()) > MOST_DIGITS):
        raise BadInput(f"{what} = {value}: is no number that can be meant")
    return Decimal(value)


def _check_table(table: Table) -> None:
    if not table.length:
        raise BadInput(f"table {table.name}: has no row under its first line")
    twice = {flag for flag in table.flags if table.flags.count(flag) > 1}
    if twice:
        raise BadInput(f"table {table.name}: column {', '.join(sorted(twice))} is there twice")
    checked: set[tuple[str, ...]] = set()
    for place in range(table.length):
        for flag, values in table.given(place):
            known = (flag, *values)
            if known not in checked:
                check_flag(flag, values, f"table {table.name}: line {place + 2}")
                checked = checked | {known} if len(checked) < 1000 else {known}


def rule_of(flag: str, what: str) -> Rule:
    """The rule that a flag names in full; raises `BadInput` if there is none, or others read it too."""
    named = rules_for(flag, exact=True)
    if not named:
        near = [rule.name for rule in RULES if flag and f"-{flag.lstrip('-')}" in rule.names]
        hint = f" (is {near[0]} meant?)" if near else ""
        raise BadInput(f"{what} {flag!r}: no flag of nanoBragg is called that{hint}")
    reads = {rule.number for rule in rules_for(flag)}
    if len(reads) > 1 and not any(reads <= together for together in INTENDED_TOGETHER):
        raise BadInput(f"{what} {flag}: cannot vary: nanoBragg reads it as {len(reads)} flags at once")
    return named[-1]


def check_flag(flag: str, values: Sequence[str], what: str) -> None:
    """Raise `BadInput` unless these are values of this flag, which a batch can vary."""
    rule = rule_of(flag, f"{what}:")
    wanted = rule.values.split()
    fits = 1 <= len(values) <= len(wanted) if flag == "-cell" else len(values) == len(wanted)
    if not fits and not (flag == "-curved_det" and len(values) == 0):
        raise BadInput(f"{what}: {flag} takes {rule.values or 'no value'}, not {' '.join(values) or 'nothing'}")
    if set(rule.effect(values)) & OUTPUTS:
        raise BadInput(f"{what}: {flag} names an output; the images of a batch go to its folder")
    if rule.values in WORDS:
        return
    for kind, value in zip(wanted, values, strict=False):
        if (WHOLE if kind in COUNTS else NUMBER).fullmatch(value):
            continue
        if not (flag == "-detector_abs" and value == "inf"):
            raise BadInput(f"{what}: {flag} {' '.join(values)}: {value!r} is no {'whole ' * (kind in COUNTS)}number")


def _check_contradictions(axes: Sequence[Axis], name: str) -> None:
    """No two axes may set the same thing."""
    owner: dict[str, str] = {}
    for axis in axes:
        for flag in axis.flags:
            rule = rule_of(flag, f"{name}:")
            for setting in set(rule.effect(["1"] * 6)) - ALONGSIDE:
                if setting in owner:
                    raise BadInput(f"{name}: {owner[setting]} and {flag} both set the same thing: take one of them")
            owner |= dict.fromkeys(set(rule.effect(["1"] * 6)) - ALONGSIDE, flag)


def _varying(axes: Sequence[Axis]) -> tuple[str, ...]:
    """Names of the settings that axes set, whatever spelling of a flag they use."""
    flags = [flag for axis in axes for flag in axis.flags]
    return tuple(sorted({name for flag in flags for name in rule_of(flag, "axis").effect(["1"] * 6)}))


def _images(found: dict[str, Any], name: str, axes: Sequence[Axis], combine: str) -> int:
    asked = _whole(found, "images", name, 1, MOST_IMAGES) if "images" in found else None
    lengths = {" ".join(axis.flags): axis.length for axis in axes if axis.length is not None}
    if combine == "product":
        for axis in axes:
            if axis.length is None and not isinstance(axis, Orientation):
                raise BadInput(f"{name}: {axis.flags[0]}: in a product a range needs a count")
        made = 1
        for length in lengths.values():
            made *= length
        if asked is not None and lengths and asked % made:
            raise BadInput(f"{name}: images = {asked}: no multiple of the {made} that the axes make")
        count = asked or (made if lengths else None)
    else:
        wrong = [f"{flag} has {length}" for flag, length in lengths.items() if length != (asked or length)]
        if wrong or len(set(lengths.values())) > 1:
            said = wrong or [f"{flag} has {length}" for flag, length in lengths.items()]
            raise BadInput(
                f"{name}: the axes differ in length: {', '.join(said)}" + f", images = {asked}" * bool(asked)
            )
        count = asked or next(iter(lengths.values()), None)
    if count is None:
        raise BadInput(f"{name}: images = must be given: no axis says how many there are")
    if count > MOST_IMAGES:
        raise BadInput(f"{name}: {count} images are too many")
    return count


def _inputs(words: Sequence[str], axes: Sequence[Axis], folder: str) -> dict[str, str]:
    """Digests of all files that the job names."""
    named = {words[i] for i in file_places(words)}
    for axis in axes:
        if isinstance(axis, Table):
            named.add(axis.name)
        if any(rule_of(flag, "axis").values == "file" for flag in axis.flags):
            for place in range(axis.length or 1):
                some = words_of(axis, place)
                named |= {some[i] for i in file_places(some)}
    return {name: file_digest(os.path.join(folder, name), name) for name in sorted(named)}


def check(job: Job, name: str) -> None:
    """Set up the images at the corners of the job, so that what cannot be rendered is known before any is."""
    if any(word.startswith("-") and "-seed" in word for word in job.arguments) and job.noise != "none":
        raise BadInput(f"{name}: -seed in arguments: all images would have the same noise; take the job's seed")
    hdf5() if job.format == "nxmx" else None
    cbf_package() if job.format == "cbf" else None
    scenes = Scenes(job)
    for image in corners(job):
        try:
            scene = scenes(image)
        except BadInput as error:
            raise BadInput(f"{name}: image {image}: {error}") from None
        if job.format == "nxmx":
            placement(scene)
    if job.format == "nxmx":
        _check_shards(job, name, scenes)


def corners(job: Job) -> Iterable[int]:
    """The first and the last image, and those where an axis stands at its ends."""
    found, run = {0, job.images - 1}, 1
    for axis in reversed(job.opened_axes):
        if job.combine == "product" and axis.length is not None:
            found |= {min((axis.length - 1) * run, job.images - 1)}
            run *= axis.length
    return sorted(found)


def _check_shards(job: Job, name: str, scenes: Scenes) -> None:
    """An NXmx file has one detector: what moves it must not vary within a shard."""
    moving = [axis for axis in job.opened_axes if any(moves_detector(flag) for flag in axis.flags)]
    if not moving:
        return
    known: dict[tuple[tuple[str, ...], ...], str] = {}
    for shard in map(job.shard, range(job.shards)):
        seen = set()
        for image in range(shard.first, shard.first + shard.images):
            given = [pair for axis, place in places(job.opened_axes, job.combine, image) for pair in axis.given(place)]
            key = tuple((flag, *values) for flag, values in given if moves_detector(flag))
            if key not in known:
                known[key] = geometry_digest(scenes(image))
            seen.add(known[key])
        if len(seen) > 1:
            flags = ", ".join(flag for axis in moving for flag in axis.flags if moves_detector(flag))
            raise BadInput(
                f"{name}: {flags}: the detector changes within shard {shard.number}, and an NXmx file has one: "
                f"let it vary slowest, take images_per_shard = 1, or another format ({', '.join(SUFFIX)})"
            )


def moves_detector(flag: str) -> bool:
    """Whether a flag changes what NXmx says once for all images of a file."""
    return rule_of(flag, "axis").group in ("detector position", "detector size", "sensor", "files read") or flag in (
        "-roi", "-spindle_axis", "-point_pixel", "-exposure", "-beamsize", "-adc",
    )  # fmt: skip
