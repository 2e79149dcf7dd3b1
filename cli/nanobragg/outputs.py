"""The files of a run: checked before anything is rendered, written in the original's order."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Sequence

from nanobragg.cli.nanobragg import report
from nanobragg.cli.nanobragg.messages import remark, say
from nanobragg.cli.nanobragg.options import Options
from nanobragg.engine.c_numbers import fixed
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.pgm import write_pgm
from nanobragg.engine.formats.raw import write_float
from nanobragg.engine.formats.smv import write_smv
from nanobragg.engine.formats.whole import check_writable, same_file
from nanobragg.engine.original import figures, smv_header
from nanobragg.engine.original.figures import Statistics
from nanobragg.engine.original.set_up import SetUp
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.render import counts_of, drawn
from nanobragg.engine.scene.scene import Scene
from nanobragg.kernels.image.rendered import Rendered

NUMBERED = re.compile(r"\d\.\w+$")
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


def check_outputs(settings: Settings, options: Options, *, several_panels: bool = False) -> None:
    """Fail before rendering rather than after; no output takes the place of an input."""
    written = {} if options.only_output else outputs_of(settings)
    ours = [("--output", name) for name in options.output]
    ours += [("--output-noiseless", name) for name in options.output_noiseless]
    if options.only_output and not ours:
        raise BadInput(
            "several panels: give --output image.h5" if several_panels else "--only-output: there is no --output"
        )
    beside: list[tuple[str, str]] = []
    if ours:
        from nanobragg.engine.formats.beside import names_beside
        from nanobragg.engine.formats.output import check_output

        beside = [
            (f"--output {path}, beside it {os.path.splitext(name)[1]},", name)
            for path in options.output for name in names_beside(path)
        ]  # fmt: skip
    for flag, name in ours:
        check_output(name, counts=flag == "--output", what=flag, panels=1 + several_panels)
        if settings.curved and endings([name]) & {".h5", ".nxs"}:
            raise BadInput(f"{flag} {name}: NXmx has no words for a curved detector; take another format")
        if name.lower().endswith((".cbf", ".img")) and not NUMBERED.search(name):
            remark(
                f"{flag} {name}: DIALS opens files of this format only with a number in the name, image_0001.cbf say"
            )
    written |= {f"{flag} (number {n})" if n else flag: name for n, (flag, name) in enumerate(ours)}
    written |= dict(beside)
    read = {flag: name for setting, flag in INPUTS.items() if (name := getattr(settings, setting)) is not None}
    if "-dump" not in written and settings.dump_file:
        read["-dump"] = settings.dump_file
    if options.structure is not None:
        read["--structure"] = options.structure
    for option in ("geometry", "spectrum"):
        if (name := getattr(options, option)) is not None:
            read[f"--{option}"] = name.rpartition(":")[0] if not os.path.exists(name) and ":" in name else name
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


def endings(names: Sequence[str]) -> set[str]:
    """What names of files end with."""
    return {os.path.splitext(name)[1].lower() for name in names}


def write_outputs(set_up: SetUp, rendered: Rendered, options: Options, threads: int) -> None:
    """What ``--output`` and ``--output-noiseless`` name."""
    if not (options.output or options.output_noiseless):
        return  # writers of other formats are not loaded then
    import numpy as np

    from nanobragg.engine.formats.beside import write_beside
    from nanobragg.engine.formats.output import write_output

    for path in options.output_noiseless:
        say(f"writing {path}: expected photons")
        write_output(path, rendered.image, set_up.scene, "--output-noiseless")
    if options.output:
        scene = _with_own_offset(set_up)
        counts, photons, overloads = drawn(
            rendered, scene.detector.offset, -set_up.settings.seed, threads, np.int32,
            saturation=scene.detector.saturation,
        )  # fmt: skip
        say(f"{fixed(photons, decimals=0)} photons with noise ({overloads} overloads)")
        for path in options.output:
            say(f"writing {path}: counts")
            write_output(path, counts, scene, "--output")
            for name in write_beside(path, scene, "int32"):
                say(f"writing {name}")


def _with_own_offset(set_up: SetUp) -> Scene:
    """The scene as our own formats describe it: counts have an offset only where one was asked for."""
    scene, asked = set_up.scene, "adc" in set_up.settings.given
    return scene if asked else dataclasses.replace(scene, detector=dataclasses.replace(scene.detector, offset=0.0))


def write_images(set_up: SetUp, rendered: Rendered, statistics: Statistics) -> None:
    """Float image, integer image and picture, in the original's order."""
    settings, image = set_up.settings, rendered.image
    say(f"writing {settings.float_file} as {image.size} 4-byte floats")
    write_float(settings.float_file, image)
    for line in report.figures(statistics):
        say(line)
    scale = figures.int_scale(settings.int_scale, statistics.max_I)
    say(f"intfile_scale = {report.g(scale)}")
    text = smv_header.of_set_up(set_up, noise=False)
    if smv_header.shifts_pixels(text, set_up):
        remark(f"Q74 smv: the header takes {len(text)} bytes and announces 512: the pixels start after it")
    say(f"writing {settings.int_file} as 2-byte integers")
    write_smv(settings.int_file, "-intfile", text, figures.integers(rendered, scale, settings.adc, settings.fixes))
    if settings.write_pgm:
        grey = figures.pgm_scale(settings.pgm_scale, statistics.rmsd, scale)
        say(f"pgm_scale = {report.g(grey)}")
        say(f"writing {settings.pgm_file} as 1-byte integers")
        write_pgm(settings.pgm_file, grey, figures.greys(rendered, grey, settings.fixes))


def write_noise(set_up: SetUp, rendered: Rendered, *, philox: bool, threads: int) -> None:
    """The image with photon noise, of the original's serial generator or of the counter-based one."""
    settings = set_up.settings
    counts, photons, overloads = counts_of(set_up.scene, rendered, philox=philox, threads=threads)
    say(f"{fixed(photons, decimals=0)} photons on noise image ({overloads} overloads)")
    say(f"writing {settings.noise_file} as 2-byte integers")
    write_smv(settings.noise_file, "-noisefile", smv_header.of_set_up(set_up, noise=True), counts[0])
