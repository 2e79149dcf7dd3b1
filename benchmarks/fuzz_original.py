"""Random command lines through an original of the user's (``NB_C_BIN``) and through us, compared to the last bit.

    NB_C_BIN=... python benchmarks/fuzz_original.py --lines 5000 --seed 1 [--backend cref|strict|fast] [--inputs FOLDER]

Images, integers, pictures, noise and the lines with figures on stdout must be the original's; where it ends with a status
of 9 or dies, we must end with a status that is not 0. ``fast`` is held against its own tolerance. Prints each line that
differs, and a summary; the exit status says whether any did.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
INPUTS = HERE.parent / "tests" / "inputs"
OUTPUTS = ["-floatfile", "f.bin", "-intfile", "i.img", "-pgmfile", "p.pgm", "-noisefile", "n.img"]
PROSE = re.compile(
    r"nanoBragg nanocrystal|mmap\(|\w+ convention selected|pivoting detector|auto-selected (tricubic|no )|WARNING|\s+but recip|"
    r"\s+intensity may|\s+recommend|counting entries|re-reading|writing dump|initializing|done init|reading |"
    r"\s+noise image para|\s+polarization effect|\s+curved det|\s+pixel obliq|\s+skipping zero|(sin|cos)[_(9]|\s*$"
)
GLUED = "WARNING: further warnings will not be printed! "  # without a line end
# What we refuse by intention, since only undefined pixels can come of it (docs/numerics.md).
REFUSED = re.compile(
    r"no source is left|is infinite or not a number|nothing to render|is no size for a pixel|has wavelength 0|the detector has no pixels|do not make a unit cell"
)


def lines(seed: int, inputs: pathlib.Path):
    """Random command lines, without end; each flag has a chance of its own."""
    rng = random.Random(seed)

    def number(low, high, digits=3):
        return f"{rng.uniform(low, high):.{digits}g}"

    def cell():
        lengths = [number(15, 120) for _ in range(rng.choice([1, 3, 3, 3]))]
        return lengths + [number(60, 120) for _ in range(3)] * (len(lengths) == 3 and rng.random() < 0.6)

    def axis():
        return [rng.choice(["0", "1", "-1", number(-2, 2)]) for _ in range(3)]

    def amplitudes():
        kind = rng.random()
        if kind < 0.5:
            return ["-default_F", number(1, 200)] + ["-nointerpolate"] * (rng.random() < 0.2)
        name = rng.choice(["small_cell.hkl", "small_cell.hkl", "triclinic.hkl"]) if kind < 0.97 else "none.hkl"
        return ["-hkl", str(inputs / name)] + ["-default_F", number(0, 50)] * (rng.random() < 0.3)

    optional = [  # chance, words
        (0.3, lambda: ["-misset", *(number(-180, 180) for _ in range(3))]),
        (0.15, lambda: ["-misset", "random"]), (0.2, lambda: ["-misset_seed", str(rng.randint(-50, 2**31))]),
        (0.6, lambda: ["-N", str(rng.randint(1, 12))]), (0.2, lambda: [rng.choice(["-Na", "-Nb", "-Nc"]), str(rng.randint(0, 9))]),
        (0.1, lambda: ["-xtalsize", number(1e-5, 1e-4)]), (0.1, lambda: ["-samplesize", number(1e-5, 1e-4)]),
        (0.3, lambda: ["-lambda", number(0.7, 3)]), (0.1, lambda: ["-energy", number(6000, 16000, 5)]),
        (0.7, lambda: ["-distance", number(20, 200)]), (0.1, lambda: ["-close_distance", number(20, 200)]),
        (0.2, lambda: [rng.choice(["-mosflm", "-xds", "-adxv", "-denzo", "-dials"])]),
        (0.3, lambda: ["-Xbeam", number(0, 8), "-Ybeam", number(0, 8)]), (0.1, lambda: ["-Xclose", number(0, 8), "-Yclose", number(0, 8)]),
        (0.15, lambda: ["-ORGX", number(0, 20), "-ORGY", number(0, 20)]), (0.1, lambda: ["-pivot", rng.choice(["beam", "sample", "x"])]),
        (0.06, lambda: [rng.choice(["-fdet_vector", "-sdet_vector", "-odet_vector", "-beam_vector", "-polar_vector",
                                    "-spindle_axis", "-twotheta_axis", "-pix0_vector", "-pix0_vector_mm"]), *axis()]),
        (0.2, lambda: [f"-detector_rot{rng.choice('xyz')}", number(-30, 30)]), (0.15, lambda: ["-twotheta", number(-30, 30)]),
        (0.2, lambda: ["-detector_thick", number(10, 500)]), (0.2, lambda: ["-detector_abs", rng.choice(["inf", number(50, 900)])]),
        (0.15, lambda: ["-detector_thicksteps", str(rng.randint(1, 4))]), (0.04, lambda: ["-curved_det", "1"]), (0.04, lambda: ["-point_pixel"]),
        (0.3, lambda: ["-polar", number(-1, 1)]), (0.06, lambda: ["-nopolar"]),
        (0.2, lambda: ["-phi", number(-20, 20)]), (0.3, lambda: ["-osc", rng.choice(["0", number(0.1, 5), "-1"])]),
        (0.2, lambda: ["-phisteps", str(rng.randint(0, 4))]), (0.1, lambda: ["-phistep", number(0.1, 2)]),
        (0.25, lambda: ["-mosaic", number(0, 2)]), (0.25, lambda: ["-mosaic_domains", str(rng.randint(0, 5))]),
        (0.1, lambda: ["-mosaic_seed", str(rng.randint(-99, 2**31))]),
        (0.15, lambda: ["-dispersion", number(0, 4)]), (0.15, lambda: ["-dispsteps", str(rng.randint(0, 4))]),
        (0.1, lambda: ["-divergence", number(0, 4)]), (0.1, lambda: ["-hdivrange", number(0, 4)]), (0.1, lambda: ["-hdivsteps", str(rng.randint(0, 4))]),
        (0.05, lambda: ["-vdivstep", number(0.1, 2)]), (0.05, lambda: ["-divsteps", str(rng.randint(1, 3))]), (0.05, lambda: ["-square_div"]),
        (0.6, lambda: ["-oversample", str(rng.randint(1, 3))]), (0.08, lambda: [f"-oversample_{rng.choice(['thick', 'polar', 'omega'])}"]),
        (0.15, lambda: ["-roi", *(str(rng.randint(-1, 14)) for _ in range(4))]), (0.1, lambda: ["-dmin", number(0.5, 8)]),
        (0.1, lambda: ["-water", number(0, 5)]), (0.15, lambda: ["-fluence", number(1e20, 1e29)]), (0.06, lambda: ["-flux", number(1e8, 1e14)]),
        (0.05, lambda: ["-exposure", number(0.1, 3)]), (0.05, lambda: ["-beamsize", number(0.001, 0.2)]),
        (0.3, lambda: [rng.choice(["-round_xtal", "-square_xtal", "-gauss_xtal", "-tophat_spots", "-binary_spots"])]),
        (0.1, lambda: ["-fudge", number(0.1, 3)]), (0.12, lambda: [rng.choice(["-interpolate", "-nointerpolate"])]),
        (0.1, lambda: ["-adc", number(-50, 90)]), (0.08, lambda: ["-scale", number(0, 30)]), (0.08, lambda: ["-pgmscale", number(0, 30)]),
        (0.06, lambda: ["-nonoise"]), (0.06, lambda: ["-nopgm"]), (0.06, lambda: ["-printout"]),
        (0.06, lambda: ["-printout_pixel", str(rng.randint(-3, 9)), str(rng.randint(-2, 9))]),
        (0.4, lambda: ["-noprogress"]), (0.04, lambda: ["-sourcefile", str(inputs / rng.choice(["sources.txt", "sources_short.txt"]))]),
        (0.03, lambda: ["-mask", str(inputs / "mask.img")]), (0.03, lambda: ["-img", str(inputs / "header.img")]),
        (0.02, lambda: [rng.choice(["-typo", "stray", "-hdiv", "-pixel", "-twotheta-axis", "-coherent", "--osc"])]),
    ]  # fmt: skip
    while True:
        parts = [amplitudes()]
        parts.append(["-cell", *cell()] if rng.random() < 0.8 else ["-mat", str(inputs / "triclinic.mat")])
        parts += [words() for chance, words in optional if rng.random() < chance]
        rng.shuffle(parts)
        small = ["-pixel", number(0.2, 1.5), "-detpixels", str(rng.randint(2, 14))]
        # A seed first and last: nothing may follow the clock, whatever flags fire by accident.
        yield [
            "-misset_seed",
            "77",
            *small,
            *(word for part in parts for word in part),
            "-seed",
            str(rng.randint(0, 2**31 - 1)),
        ]


def ours(arguments, folder, backend):
    """Exit status, stdout and remarks of our command, in this process."""
    from nanobragg.cli.nanobragg.command import main

    out, err = io.StringIO(), io.StringIO()
    before = os.getcwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["--backend", backend, *arguments])
    finally:
        os.chdir(before)
    return status, out.getvalue(), err.getvalue()


def pixels(path):
    """The bytes of an image, its length in front."""
    return path.read_bytes() if path.exists() else None


def close(a, b):
    """Whether two float images agree as fast numerics must."""
    x, y = (np.frombuffer(data, "<f4").astype(float) for data in (a, b))
    finite = np.isfinite(y)
    allowed = 1e-6 * np.abs(y) + 1e-9 * np.abs(y[finite]).max(initial=0.0)
    return (
        len(x) == len(y)
        and bool((np.abs(x - y)[finite] <= allowed[finite]).all())
        and not np.isfinite(x[~finite]).any()
    )


def compare(line, program, backend, folder):
    """What differs, in words; nothing if nothing does."""
    a, b = folder / "a", folder / "b"
    a.mkdir()
    b.mkdir()
    words = (
        [*line, *OUTPUTS[:4]]
        + (OUTPUTS[4:6] if "-nopgm" not in line else [])
        + (OUTPUTS[6:] if "-nonoise" not in line else [])
    )
    done = subprocess.run([program, *words], cwd=a, capture_output=True, timeout=300)
    status, out, err = ours(words, b, backend)
    if "Traceback" in err or "unexpected" in err:
        return f"traceback: {err.strip().splitlines()[-1]}"
    if done.returncode:
        return "" if status else f"the original ended with {done.returncode}, we with 0"
    if status and REFUSED.search(err):
        return ""
    if status:
        return f"we ended with {status}: {err.strip().splitlines()[-1]}"
    if backend == "fast":
        return "" if close(pixels(b / "f.bin"), pixels(a / "f.bin")) else "float image"
    for name in ("f.bin", "i.img", "p.pgm", "n.img"):
        if pixels(a / name) != pixels(b / name):
            return name
    theirs = [text for text in done.stdout.decode("latin-1").replace(GLUED, "").splitlines() if not PROSE.match(text)]
    mine = out.splitlines()
    for k, text in enumerate(mine):  # a factor that was never computed: the original shows what lay in memory
        if text.endswith("F_latt=0   I = 0") and k < len(theirs) and theirs[k].endswith("I = 0"):
            theirs[k] = text
    if theirs != mine:
        at = next(
            (k for k, (x, y) in enumerate(zip(theirs, mine, strict=False)) if x != y), min(len(theirs), len(mine))
        )
        return f"stdout: {theirs[at : at + 1]} against {mine[at : at + 1]}"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", default="cref", choices=["cref", "strict", "fast"])
    parser.add_argument("--inputs", type=pathlib.Path, default=INPUTS)
    options = parser.parse_args()
    program = os.environ.get("NB_C_BIN")
    if not program:
        print("fuzz_original: set NB_C_BIN to an original of yours", file=sys.stderr)
        return 2
    bad = 0
    for _, line in zip(range(options.lines), lines(options.seed, options.inputs.resolve()), strict=False):
        with tempfile.TemporaryDirectory() as name:
            found = compare(line, program, options.backend, pathlib.Path(name))
        if found:
            bad += 1
            print(f"{found}\n    {shlex.join(line)}", flush=True)
    print(f"{options.lines} lines, {bad} differ ({options.backend}, seed {options.seed})")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
