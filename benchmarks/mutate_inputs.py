"""Damaged inputs of every kind through the command and the tools: no traceback, no hang, nothing lost in silence.

    python benchmarks/mutate_inputs.py --number 10000 --seed 1

Each round takes a good input (hkl, matrix, mask, header, source list, stol table, dump, job, table, image, arguments),
damages it, and runs what reads it. Found are: exceptions that are no refusal, refusals without a word, runs that take longer
than ten seconds, part files, images with undefined pixels that nobody speaks of, and amplitudes that were left out without
a word. Prints them with their seed; the exit status says whether there were any. CBF and HDF5 need fabio and h5py.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pathlib
import random
import signal
import sys
import tempfile
import traceback

import numpy as np

from nanobragg.engine.formats import apart

HERE = pathlib.Path(__file__).resolve().parent
INPUTS = HERE.parent / "tests" / "inputs"
CELL = "-cell 50 60 70 90 90 90 -lambda 1 -distance 100 -pixel 1 -detpixels 6 -N 3 -oversample 1 -nonoise -nopgm -noprogress "
LIMIT_S = 10
WORDS = [
    b"****",
    b"nan",
    b"inf",
    b"-inf",
    b"1e400",
    b"\0",
    b"\xff\xfe",
    b"#",
    b"99999999999",
    b"-1",
    b"0",
    b".",
    b"1.5",
    b"\n\n",
    b",",
    b"=",
]


def small_hkl():
    rows = [(h, k, x) for h in range(-3, 4) for k in range(-3, 4) for x in range(-3, 4)]
    return "".join(f"{h} {k} {x} {10 + h * h + k + x / 7:.3f}\n" for h, k, x in rows).encode()


def job():
    return (
        b'arguments = "-cell 50 60 70 90 90 90 -default_F 10 -detpixels 6 -oversample 1"\nimages = 2\nseed = 3\n'
        b'output = "out"\nnoise = "none"\n[[axis]]\nflag = "-phi"\nstart = 0\nstep = 0.5\n'
    )


TABLE = b"-phi,-misset,-N\n0,1 2 3,5\n1,4 5 6,6\n"
TABLE_JOB = job().split(b"[[axis]]")[0] + b'[[axis]]\ntable = "t.csv"\n'


def kinds():
    """Each kind of input: its name, a good one, and how it is read, as (tool, words)."""
    files = {name: (INPUTS / name).read_bytes() for name in ("triclinic.mat", "mask.img", "header.img", "sources.txt")}
    yield "hkl", small_hkl(), ("nanobragg", CELL + "-hkl in")
    yield "hkl --fix files", small_hkl(), ("nanobragg", CELL + "-hkl in --fix files")
    yield (
        "mat",
        files["triclinic.mat"],
        ("nanobragg", CELL.replace("-cell 50 60 70 90 90 90", "-mat in") + "-default_F 5"),
    )
    yield (
        "mask",
        files["mask.img"],
        ("nanobragg", CELL.replace("-detpixels 6", "") + "-default_F 5 -mask in -roi 0 5 0 5"),
    )
    yield "header", files["header.img"], ("nanobragg", CELL + "-default_F 5 -img in -detpixels 6")
    yield (
        "header --fix files",
        files["header.img"],
        ("nanobragg", CELL + "-default_F 5 -img in -detpixels 6 --fix files"),
    )
    yield "sources", files["sources.txt"], ("nanobragg", CELL + "-default_F 5 -sourcefile in")
    yield "sources --fix all", files["sources.txt"], ("nanobragg", CELL + "-default_F 5 -sourcefile in --fix all")
    yield "stol", b"0 2.57\n0.1 2.5\n0.2 2.2\n", ("nanobragg", CELL + "-default_F 5 -stol in")
    dump = b"-1 1 -1 1 -1 1\n\f" + np.arange(64.0).tobytes()
    yield "dump", dump, ("nanobragg", CELL + "-dump in")
    yield "dump --fix all", dump, ("nanobragg", CELL + "-dump in --fix all")
    yield "job", job(), ("batch.command", "run in --no-sheet --threads 1")
    yield "table", TABLE, ("batch.command", "run job.toml --no-sheet --threads 1")
    image = np.random.default_rng(1).exponential(9.0, (8, 8)).astype("<f4")
    npy = io.BytesIO()
    np.save(npy, image)
    yield "npy", npy.getvalue(), ("tools.compare", "in good.npy")
    yield "smv", files["mask.img"], ("tools.compare", "in in")
    yield "cbf", as_cbf(image), ("tools.compare", "in good.npy")
    yield "hdf5", as_hdf5(image), ("tools.compare", "in good.npy")
    yield "trace", b"TRACE a = 1\nTRACE b = 2 3 4\nTRACE F_cell[0,0,0,0,0] = 5\n", ("tools.trace", "diff in good.txt")
    yield (
        "arguments",
        (CELL + "-default_F 5 -osc 1 -phisteps 2 -mosaic 0.3 -polar 0.5 -roi 0 5 0 5").encode(),
        ("nanobragg", None),
    )


def as_cbf(image):
    """The bytes of a CBF file."""
    import fabio

    with tempfile.TemporaryDirectory() as name:
        fabio.cbfimage.CbfImage(data=image.astype(np.int32)).write(f"{name}/a.cbf")
        return pathlib.Path(f"{name}/a.cbf").read_bytes()


def as_hdf5(image):
    """The bytes of an HDF5 file of two frames."""
    import h5py
    import hdf5plugin

    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        frames = np.stack([image, image])
        file.create_dataset("entry/data/data", data=frames, chunks=(1, 8, 8), **hdf5plugin.Bitshuffle())
    return made.getvalue()


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A damaged copy."""
    made = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        way, at = rng.randrange(8), rng.randrange(len(made) + 1)
        if way == 0:
            made = made[:at]
        elif way == 1 and made:
            made[min(at, len(made) - 1)] = rng.randrange(256)
        elif way == 2:
            made[at:at] = rng.choice(WORDS)
        elif way == 3:
            del made[at : at + rng.randrange(1, 40)]
        elif way == 4:
            words = bytes(made).split(b" ")
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            made = bytearray(b" ".join(words))
        elif way == 5:
            lines = bytes(made).split(b"\n")
            rng.shuffle(lines)
            made = bytearray(b"\n".join(lines))
        elif way == 6:
            made = made[at:] + made[:at]
        else:
            made = made + made[: rng.randrange(1, 200)]
    return bytes(made)


class TooLong(BaseException):
    """A run has not ended in time."""


def too_long(number, frame):
    raise TooLong


def run(tool, words, folder, limit=LIMIT_S):
    """Exit status, stdout, stderr and what was raised."""
    import importlib

    main = importlib.import_module(f"nanobragg.cli.{tool}").main
    out, err, raised = io.StringIO(), io.StringIO(), ""
    before = os.getcwd()
    os.chdir(folder)
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(limit)
    status = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(words)
    except TooLong:
        raised = f"longer than {LIMIT_S} s"
    except SystemExit as error:
        status = error.code
    except BaseException:
        raised = traceback.format_exc().strip().splitlines()[-1]
    finally:
        signal.alarm(0)
        os.chdir(before)
    return status, out.getvalue(), err.getvalue(), raised


def fault(kind, data, folder, tool, words, status, out, err, raised):
    """What is wrong with a run, in words; nothing if nothing is."""
    if raised:
        return raised
    if "unexpected" in err or "Traceback" in err or "Warning:" in err:
        return err.strip().splitlines()[-1]
    if status not in (0, 1, 2, 9, 75):
        return f"status {status}"
    differ = status == 1 and tool in ("tools.compare", "tools.trace") and out.strip()  # a verdict, no refusal
    if status and not err.strip() and not differ:
        return "refused without a word"
    left = [name for name in os.listdir(folder) if name.endswith(".part")]
    if left:
        return f"left {left}"
    if tool == "nanobragg" and status == 0:
        image = folder / "floatimage.bin"
        if not np.isfinite(np.fromfile(image, "<f4")).all() and "overflow" not in err:
            return "undefined pixels, and not a word"
        if kind == "hkl":
            read = int(out.split(" initialized hkls")[0].split()[-1])
            lines = sum(1 for line in data.split(b"\n") if line.strip())
            if read < lines and "-hkl" not in err:
                return f"{read} reflections of {lines} lines, and not a word"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="a kind of input")
    options = parser.parse_args()
    chosen = [kind for kind in kinds() if options.only in (None, kind[0])]
    bad, apart.SECONDS = 0, LIMIT_S / 2
    with tempfile.TemporaryDirectory() as name:  # compiles what is not kept yet, which takes longer
        (pathlib.Path(name) / "in").write_bytes(job())
        run("batch.command", "run in --no-sheet --threads 1".split(), pathlib.Path(name), 300)
    for number in range(options.number):
        rng = random.Random(f"{options.seed}-{number}")
        kind, good, (tool, line) = chosen[number % len(chosen)]
        data = mutated(good, rng)
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            if line is None:
                words = data.replace(b"\0", b"").decode("utf-8", "surrogateescape").split()
            else:
                (folder / ("t.csv" if kind == "table" else "in")).write_bytes(data)
                (folder / "job.toml").write_bytes(TABLE_JOB)
                (folder / "good.txt").write_text("TRACE a = 1\nTRACE b = 2 3 4\n")
                np.save(folder / "good.npy", np.ones((8, 8), np.float32))
                words = line.split()
            if tool == "nanobragg":
                words = ["--backend", "cref", *words]
            found = fault(kind, data, folder, tool, words, *run(tool, words, folder))
        if found:
            bad += 1
            print(f"{number} {kind}: {found[:200]}\n    {data[:150]!r}", flush=True)
    print(f"{options.number} damaged inputs (seed {options.seed}): {bad} faults")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
