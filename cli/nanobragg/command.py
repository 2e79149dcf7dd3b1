"""``nanoBragg``: the drop-in. Arguments to settings, settings to a plan, the plan to files."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nanobragg.cli.nanobragg import report
from nanobragg.cli.nanobragg.explain import explanation, remarks
from nanobragg.cli.nanobragg.introduction import introduced
from nanobragg.cli.nanobragg.options import Options, nearest, own_options
from nanobragg.cli.nanobragg.parse import Parsed, named_headers, parse
from nanobragg.cli.nanobragg.physics import Physics, completed, physics_of, preset, set_up_of, with_gaps
from nanobragg.cli.nanobragg.time_left import TimeLeft
from nanobragg.cli.nanobragg.usage import usage
from nanobragg.cli.signals import ended_by_signals, raise_on_signals
from nanobragg.engine import cost, images, reasons
from nanobragg.engine.errors import BadInput
from nanobragg.engine.experiment import Experiment, freeze, geometry
from nanobragg.engine.factors.structure_factors import dump_is_there
from nanobragg.engine.formats.images import write_float, write_pgm
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.formats.smv import read_smv, write_smv
from nanobragg.engine.formats.whole import check_writable, same_file
from nanobragg.engine.original import quirks
from nanobragg.engine.original.c_numbers import fixed
from nanobragg.engine.original.fixes import NONE, shown
from nanobragg.engine.original.headers import header_settings
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.original.smv_header import of_experiment
from nanobragg.engine.render import KNOWN_OPTIONS, Rendered, choose, default_threads, noisy, render
from nanobragg.engine.summary import steps_in_words
from nanobragg.kernels.compiling.notice import before_compiling
from nanobragg.kernels.plan import RenderPlan

INSUFFICIENT = 9
NUMBERED = re.compile(r"\d\.\w+$")


def kernels_in_words() -> str:
    """What is said before one is compiled."""
    from nanobragg.kernels.compiling.kept import in_words  # next to no run needs it

    return in_words()


def say(line: str) -> None:
    """A line on stdout; a reader that has gone away does not end the run."""
    _write(sys.stdout, line)


def remark(line: str) -> None:
    """A line on stderr."""
    _write(sys.stderr, f"nanoBragg: {line}")


def _write(stream: Any, line: str) -> None:
    if stream is None:  # closed when we were started
        return
    try:
        stream.write(line.encode("utf-8", "surrogateescape").decode("utf-8", "replace") + "\n")
        stream.flush()
    except (OSError, ValueError):
        pass


def read_headers(
    arguments: Sequence[str],
    settings: dict[str, Any],
    origin: dict[str, str] | None = None,
    *,
    any_format: bool = False,
) -> np.ndarray | None:
    """Let the mask's and then the image's header change the settings; returns the mask's pixels.

    ``origin`` learns where each setting comes from. In ``any_format``, or where files are read right, a mask may be
    npy, CBF or HDF5, which changes no setting: its pixels are (slow, fast).
    """
    any_format = any_format or "Q69" in settings.get("fixes", NONE)
    names, mask = named_headers(arguments), None
    if not names:
        return None  # readers of other formats are not loaded then
    from nanobragg.engine.formats.any_image import is_other_image, read_image

    for setting, flag in (("mask_file", "-mask"), ("img_file", "-img")):
        if setting not in names:
            continue
        settings[setting] = names[setting]
        if flag == "-mask" and any_format and is_other_image(names[setting]):
            try:
                mask = read_image(names[setting])
            except BadInput as error:
                raise BadInput(f"-mask {error}") from None
            continue
        try:
            image = read_smv(names[setting], flag, settings.get("fixes", NONE))
        except OSError as error:
            if "Q70" in settings.get("fixes", NONE):
                raise BadInput(f"{flag} {names[setting]}: {reason(error)}") from None
            remark(f"Q70 files: {flag} {names[setting]}: {reason(error)}: ignored")
            continue
        is_mask = flag == "-mask"
        fixes = settings.get("fixes", NONE)
        found = header_settings(image, settings.get("pixel", Settings.pixel), is_mask=is_mask, fixes=fixes)
        settings.update(found)
        if origin is not None:
            origin.update({name: f"the header of {flag} {names[setting]}: {name}" for name in found})
        if image.missing:
            remark(
                f"{flag} {names[setting]}: the last {image.missing} pixels are not whole: bytes that are missing are 0"
            )
        if is_mask:
            mask = image.pixels
    return mask


def check_sufficient(settings: Settings, physics: Physics) -> None:
    """Print the usage where cell or amplitudes are missing."""
    some = settings.hkl_file is not None or settings.default_F != 0.0 or physics.structure is not None
    no_factors = not some and not dump_is_there(settings)
    no_cell = settings.mat_file is None and settings.cell_a == 0.0
    if no_factors or no_cell:
        say(usage())
        missing = ["no amplitudes: give --structure, -hkl or -default_F"] * no_factors
        missing += ["no cell: give --structure, -mat or -cell"] * no_cell
        raise BadInput("; ".join(missing), INSUFFICIENT)


INPUTS = {
    "hkl_file": "-hkl", "mat_file": "-mat", "mask_file": "-mask", "img_file": "-img", "stol_file": "-stol",
    "source_file": "-sourcefile",
}  # fmt: skip


def outputs_of(settings: Settings) -> dict[str, str]:
    """The flags of the files that a run writes, in the order in which it does, with their names."""
    dump = {"-dump": settings.dump_file} if settings.hkl_file is not None and settings.dump_file else {}
    pgm = {"-pgmfile": settings.pgm_file} if settings.write_pgm else {}
    noise = {"-noisefile": settings.noise_file} if settings.do_noise else {}
    return {**dump, "-floatfile": settings.float_file, "-intfile": settings.int_file, **pgm, **noise}


def check_outputs(settings: Settings, options: Options) -> None:
    """Fail before rendering rather than after; no output takes the place of an input."""
    written = {} if options.only_output else outputs_of(settings)
    ours = [("--output", name) for name in options.output]
    ours += [("--output-noiseless", name) for name in options.output_noiseless]
    if options.only_output and not ours:
        raise BadInput("--only-output: there is no --output")
    if ours:
        from nanobragg.engine.formats.output import check_output
    for flag, name in ours:
        check_output(name, counts=flag == "--output", what=flag)
        if settings.curved and endings([name]) & {".h5", ".nxs"}:
            raise BadInput(f"{flag} {name}: NXmx has no words for a curved detector; take another format")
        if name.lower().endswith((".cbf", ".img")) and not NUMBERED.search(name):
            remark(
                f"{flag} {name}: DIALS opens files of this format only with a number in the name, image_0001.cbf say"
            )
    written |= {f"{flag} (number {n})" if n else flag: name for n, (flag, name) in enumerate(ours)}
    read = {flag: name for setting, flag in INPUTS.items() if (name := getattr(settings, setting)) is not None}
    if "-dump" not in written and settings.dump_file:
        read["-dump"] = settings.dump_file
    if options.structure is not None:
        read["--structure"] = options.structure
    read |= {f"--anomalous {element}": value for element, value in options.wanted.anomalous}
    for flag, name in written.items():
        for of_input, input_name in read.items():
            if same_file(name, input_name):
                raise BadInput(f"{flag} {name}: is the file that {of_input} reads: name another one")
    for (first, name), (second, other) in itertools.combinations(written.items(), 2):
        if same_file(name, other):
            remark(f"{second} {other} takes the place of {first} {name}: they are the same file")
    for flag, name in written.items():
        if not flag.startswith(("-dump", "--")):  # one that cannot be written is only remarked on, as in the original
            check_writable(name, flag)


def describe(parsed: Parsed, explain: bool) -> None:
    """What the arguments did, all of it or only what is worth a remark."""
    for reading in parsed.readings:
        if reading.ignored and reading.text.startswith("--"):
            raise BadInput(f"{reading.text}: no option is called that{nearest(reading.text)}")
    for line in remarks(parsed):
        remark(line)
    if explain:
        for line in explanation(parsed):
            remark(line)


def run(arguments: Sequence[str]) -> int:
    """One run of the program; raises `BadInput` for what the user must mend."""
    options, line = own_options(arguments)
    if options.version or options.help:
        return introduced(arguments)
    if options.detector == "list":
        from nanobragg.engine.detectors.catalogue import detector_list

        say(detector_list())
        return 0
    if options.compile:
        from nanobragg.cli.nanobragg.compiled_ahead import compiled_ahead

        if line:
            raise BadInput(f"--compile: stands alone, without {line[0]} (nb-compile FOLDER names a folder)")
        return compiled_ahead(say)
    before_compiling(lambda: remark(kernels_in_words()))
    physics = physics_of(options)
    clock = -int(time.time())
    start: dict[str, Any] = {"seed": clock, "misset_seed": clock} | preset(physics)
    if physics.fixes:
        remark(f"computed right, not as the original does: {shown(physics.fixes)}")
    origin: dict[str, str] = {}
    mask = read_headers(line, start, origin)
    parsed = parse(line, start, origin)
    describe(parsed, options.explain)
    settings = completed(parsed.settings, physics)
    check_sufficient(settings, physics)
    check_outputs(settings, options)
    placed = geometry(settings, with_gaps(mask, physics, settings), remark)
    for text in report.geometry(placed):
        say(text)
    set_up = set_up_of(physics, placed, remark)
    plan = freeze(set_up)
    for text in report.before(set_up):
        say(text)
    biting = [q for q in quirks.biting(quirks.Run(set_up, plan)) if not (options.only_output and q.name == "smv")]
    for text in (*map(str, biting), *reasons.before(set_up, plan)):
        remark(text)
    written = [] if options.only_output else ["SMV"]
    written += [form for form, ending in (("SMV", ".img"), ("CBF", ".cbf")) if ending in endings(options.output)]
    for told in dict.fromkeys(reasons.of_header(set_up, form) for form in written):
        if told:
            remark(told)
    produce(set_up, plan, options)
    return 0


def endings(names: Sequence[str]) -> set[str]:
    """What names of files end with."""
    return {os.path.splitext(name)[1].lower() for name in names}


def progress_of(plan: RenderPlan, settings: Settings, expected_s: float) -> Callable[[int], None] | None:
    """Who hears how far rendering is: stdout as the original's, a terminal of what is left of a long run."""
    heard: list[Callable[[int], None]] = []
    if settings.progress and not settings.printout:
        heard.append(report.Progress(plan, say))
    if expected_s > cost.WORTH_A_WORD_S and sys.stderr is not None and sys.stderr.isatty():
        heard.append(TimeLeft(plan.n_rendered, expected_s))
    return functools.partial(tell_all, heard) if heard else None


def tell_all(heard: Sequence[Callable[[int], None]], done: int) -> None:
    """Tell all of a number of pixels."""
    for hears in heard:
        hears(done)


def produce(set_up: Experiment, plan: RenderPlan, options: Options) -> None:
    """Render, report and write all images."""
    settings = set_up.settings
    backend = choose(options.backend or "auto", plan, device=options.device, remark=remark)
    if options.precision != "double" and "precision" not in KNOWN_OPTIONS.get(backend, ()):
        remark(f"--precision {options.precision} means nothing to --backend {backend}")
    threads = options.threads or default_threads()
    if options.explain:
        remark(f"{cost.steps_of(plan):.3g} steps: {steps_in_words(set_up)}")
    with ended_by_signals():
        expected = cost.seconds(plan, backend, threads)
    if expected > cost.WORTH_A_WORD_S:
        remark(cost.in_words(plan, expected))
    progress = progress_of(plan, settings, expected)
    with ended_by_signals():
        image, interpolation_ended = rendered(plan, backend, options, threads, progress)
    image.setflags(write=False)
    for text in figures_of_pixels(set_up, plan, image, backend, options):
        say(text)
    statistics = images.statistics(plan, image, backend, threads)
    if settings.fixes:
        statistics = images.corrected(plan, image, statistics, settings.fixes, threads)
    if interpolation_ended:
        remark(quirks.INTERPOLATION_ENDED)
    say(report.solid_angle(statistics))
    if "Q79" in settings.fixes and not np.isfinite(image).all():
        raise BadInput("the image overflows: a pixel is infinite or not a number")
    if quirks.overflowed(statistics):
        remark(reasons.of_overflow(plan))
    elif said := reasons.of_brightness(set_up, plan, image, statistics.max_I):
        remark(said)
    if not options.only_output:
        write_images(set_up, plan, image, statistics, backend)
    write_outputs(set_up, plan, image, backend, options, threads)
    if settings.do_noise and not options.only_output:
        write_noise(set_up, plan, image, backend, philox=options.noise == "philox", threads=threads)


def figures_of_pixels(
    set_up: Experiment, plan: RenderPlan, image: np.ndarray, backend: str, options: Options
) -> Iterator[str]:
    """What ``-printout`` and ``--trace`` show."""
    if not (set_up.settings.printout or options.trace):
        return  # neither is loaded then
    from nanobragg.cli.nanobragg import printout
    from nanobragg.engine.check import trace

    yield from printout.blocks(set_up, plan, image)
    for pixel in options.trace:
        yield trace.text(trace.trace(plan, *pixel, backend)).rstrip()


def write_outputs(
    set_up: Experiment, plan: RenderPlan, image: np.ndarray, backend: str, options: Options, threads: int
) -> None:
    """What ``--output`` and ``--output-noiseless`` name."""
    if not (options.output or options.output_noiseless):
        return  # writers of other formats are not loaded then
    from nanobragg.engine.formats.output import write_output

    for path in options.output_noiseless:
        say(f"writing {path}: expected photons")
        write_output(path, image, set_up, "--output-noiseless")
    if options.output:
        s = set_up.settings
        counts, photons, overloads = images.philox_noise(
            plan,
            image,
            s.adc if "adc" in s.given else 0.0,
            -s.seed,
            backend,
            threads,
            np.int32,
            saturation=s.saturation,
        )
        say(f"{fixed(photons, decimals=0)} photons with noise ({overloads} overloads)")
        for path in options.output:
            say(f"writing {path}: counts")
            write_output(path, counts, without_offset(set_up), "--output")


def without_offset(set_up: Experiment) -> Experiment:
    """The experiment as our own formats describe it: counts have an offset only where one was asked for."""
    s = set_up.settings
    return dataclasses.replace(set_up, settings=s if "adc" in s.given else dataclasses.replace(s, adc=0.0))


def rendered(plan: RenderPlan, backend: str, options: Options, threads: int, progress: Any) -> Rendered:
    """The image; a GPU that ``auto`` has chosen and that fails is replaced by the CPU."""
    own: dict[str, Any] = {"device": options.device, "precision": options.precision}
    try:
        return render(plan, backend, threads=threads, progress=progress, **own)
    except BadInput as error:
        if backend != "cuda" or options.backend == "cuda":
            raise
        remark(f"the GPU of this machine is not used ({error}): rendering on the CPU")
        return render(plan, "fast", threads=threads, progress=progress, **own)


def write_images(
    set_up: Experiment, plan: RenderPlan, image: np.ndarray, statistics: images.Statistics, backend: str
) -> None:
    """Float image, integer image and picture, in the original's order."""
    settings = set_up.settings
    say(f"writing {settings.float_file} as {image.size} 4-byte floats")
    write_float(settings.float_file, image)
    for line in report.figures(statistics):
        say(line)
    scale = images.int_scale(settings.int_scale, statistics.max_I)
    say(f"intfile_scale = {report.g(scale)}")
    text = smv_header(set_up, noise=False)
    if len(text) > 512 and "Q74" not in settings.fixes:
        remark(f"Q74 smv: the header takes {len(text)} bytes and announces 512: the pixels start after it")
    say(f"writing {settings.int_file} as 2-byte integers")
    write_smv(
        settings.int_file, "-intfile", text, images.integers(plan, image, scale, settings.adc, backend, settings.fixes)
    )
    if settings.write_pgm:
        grey = images.pgm_scale(settings.pgm_scale, statistics.rmsd, scale)
        say(f"pgm_scale = {report.g(grey)}")
        say(f"writing {settings.pgm_file} as 1-byte integers")
        write_pgm(settings.pgm_file, grey, images.greys(plan, image, grey, backend, settings.fixes))


def smv_header(set_up: Experiment, *, noise: bool) -> bytes:
    """The header of the integer image or of the noise image."""
    settings = set_up.settings
    return of_experiment(set_up, noise=noise, fixes=settings.fixes)


def write_noise(
    set_up: Experiment, plan: RenderPlan, image: np.ndarray, backend: str, *, philox: bool, threads: int
) -> None:
    """The image with photon noise, of the original's serial generator or of the counter-based one."""
    counts, photons, overloads = noisy(set_up, plan, image, backend, philox=philox, threads=threads)
    say(f"{fixed(photons, decimals=0)} photons on noise image ({overloads} overloads)")
    say(f"writing {set_up.settings.noise_file} as 2-byte integers")
    write_smv(set_up.settings.noise_file, "-noisefile", smv_header(set_up, noise=True), counts)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    raise_on_signals()
    try:
        with np.errstate(all="ignore"):  # what overflows is said in our own words
            return run(sys.argv[1:] if arguments is None else arguments)
    except BadInput as error:
        remark(str(error))
        return error.status
    except MemoryError:
        remark("not enough memory for this image")
        return 1
    except KeyboardInterrupt:
        remark("interrupted")
        return 128 + signal.SIGINT
    except Exception as error:
        if "NANOBRAGG_DEBUG" in os.environ:
            raise
        remark(f"unexpected {type(error).__name__}: {error} (set NANOBRAGG_DEBUG=1 to see where)")
        return 1


if __name__ == "__main__":
    sys.exit(main())
