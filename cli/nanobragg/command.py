"""``nanoBragg``: the drop-in. Arguments to settings, settings to a scene, its plan to an image, that to files."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from nanobragg.cli.nanobragg import report
from nanobragg.cli.nanobragg.explain import explanation, remarks
from nanobragg.cli.nanobragg.headers import read_headers
from nanobragg.cli.nanobragg.introduction import introduced
from nanobragg.cli.nanobragg.messages import remark, say
from nanobragg.cli.nanobragg.options import Options, nearest, own_options
from nanobragg.cli.nanobragg.outputs import check_outputs, endings, write_images, write_noise, write_outputs
from nanobragg.cli.nanobragg.parse import Parsed, parse
from nanobragg.cli.nanobragg.physics import Physics, completed, physics_of, placed_of, preset, set_up_of
from nanobragg.cli.nanobragg.rendering import figures_of_pixels, rendered_by
from nanobragg.cli.nanobragg.usage import usage
from nanobragg.cli.signals import raise_on_signals
from nanobragg.engine import reasons
from nanobragg.engine.errors import BadFile, BadInput
from nanobragg.engine.original import figures
from nanobragg.engine.original import remarks as of_original
from nanobragg.engine.original.inputs import dump_is_there
from nanobragg.engine.original.quirks import INTERPOLATION_ENDED, shown
from nanobragg.engine.original.set_up import SetUp
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import default_threads
from nanobragg.kernels.compiling.notice import before_compiling
from nanobragg.kernels.plan import RenderPlan

OF_FILES = 9  # as the original's, where a file is missing or amplitudes or cell are


def kernels_in_words() -> str:
    """What is said before one is compiled."""
    from nanobragg.kernels.compiling.kept import in_words  # next to no run needs it

    return in_words()


def check_sufficient(settings: Settings, physics: Physics) -> None:
    """Print the usage where cell or amplitudes are missing."""
    some = settings.hkl_file is not None or settings.default_F != 0.0 or physics.structure is not None
    no_factors = not some and not dump_is_there(settings)
    no_cell = settings.mat_file is None and settings.cell_a == 0.0 and not physics.has_cell
    if no_factors or no_cell:
        say(usage())
        missing = ["no amplitudes: give --structure, -hkl or -default_F"] * no_factors
        missing += ["no cell: give --structure, -mat or -cell"] * no_cell
        raise BadFile("; ".join(missing))


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


def answered(options: Options, line: Sequence[str], arguments: Sequence[str]) -> int | None:
    """The status of what needs no run: help, version, lists, kernels compiled ahead; ``None`` for all else."""
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
    return None


def settings_of(line: Sequence[str], physics: Physics, options: Options) -> tuple[Settings, np.ndarray | None]:
    """Settings of a line, headers and presets before flags, and the pixels of its mask."""
    clock = -int(time.time())
    start: dict[str, Any] = {"seed": clock, "misset_seed": clock} | preset(physics)
    if physics.fixes:
        remark(f"computed right, not as the original does: {shown(physics.fixes)}")
    for text in physics.geometry.remarks if physics.geometry is not None else ():
        remark(text)
    origin: dict[str, str] = {}
    mask = read_headers(line, start, origin)
    parsed = parse(line, start, origin)
    describe(parsed, options.explain)
    return completed(parsed.settings, physics), mask


def tell(set_up: SetUp, plan: RenderPlan, options: Options) -> None:
    """Say what is simulated, and what of it is unlikely to be meant."""
    for text in report.before(set_up):
        say(text)
    biting = [q for q in of_original.quirks_of(set_up, plan) if not (options.only_output and q.name == "smv")]
    for text in (*map(str, biting), *of_original.before(set_up, plan)):
        remark(text)
    written = [] if options.only_output else ["SMV"]
    written += [form for form, ending in (("SMV", ".img"), ("CBF", ".cbf")) if ending in endings(options.output)]
    for told in dict.fromkeys(reasons.of_header(set_up.scene, form) for form in written):
        if told:
            remark(told)


def run(arguments: Sequence[str]) -> int:
    """One run of the program; raises `BadInput` for what the user must mend."""
    options, line = own_options(arguments)
    if (status := answered(options, line, arguments)) is not None:
        return status
    before_compiling(lambda: remark(kernels_in_words()))
    physics = physics_of(options)
    settings, mask = settings_of(line, physics, options)
    check_sufficient(settings, physics)
    if physics.several_panels and not options.only_output:
        remark("the original's own files have no words for several panels: what --output names is written alone")
        options.only_output = True
    check_outputs(settings, options, several_panels=physics.several_panels)
    placed = placed_of(settings, mask, physics, remark)
    for text in report.geometry(placed):
        say(text)
    set_up = set_up_of(physics, placed, remark)
    plan = plan_of(set_up.scene)
    tell(set_up, plan, options)
    produce(set_up, plan, options)
    return 0


def produce(set_up: SetUp, plan: RenderPlan, options: Options) -> None:
    """Render, report and write all images."""
    settings, threads = set_up.settings, options.threads or default_threads()
    backend, rendered = rendered_by(set_up, plan, options, threads)
    for text in figures_of_pixels(set_up, plan, rendered, backend, options):
        say(text)
    statistics = figures.statistics(rendered, settings.fixes, threads)
    if rendered.interpolation_ended:
        remark(INTERPOLATION_ENDED)
    say(report.solid_angle(statistics))
    figures.check_finite(rendered, settings.fixes)
    if statistics.overflowed:
        remark(reasons.of_overflow(plan))
    elif said := reasons.of_brightness(set_up.scene, plan, rendered.panels, statistics.max_I):
        remark(said)
    if not options.only_output:
        write_images(set_up, rendered, statistics)
    write_outputs(set_up, rendered, options, threads)
    if settings.do_noise and not options.only_output:
        write_noise(set_up, rendered, philox=options.noise == "philox", threads=threads)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    raise_on_signals()
    try:
        with np.errstate(all="ignore"):  # what overflows is said in our own words
            return run(sys.argv[1:] if arguments is None else arguments)
    except BadInput as error:
        remark(str(error))
        return OF_FILES if isinstance(error, BadFile) else 1
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
