"""Kernels that are kept: by what they were made of, whole, made once, made ahead, and never loaded with Numba."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from nanobragg.cli.tools import compile as nb_compile
from nanobragg.kernels.compiling import kept
from nanobragg.kernels.compiling.processor import processor
from tests.support import CASES, ROOT, assert_close_image


def environment_of(folder, **more):
    named = {name: value for name, value in os.environ.items() if name != kept.VARIABLE}
    return {**named, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(folder), **more}


def test_kernels_are_kept_by_the_digest_of_all_sources(tmp_path, monkeypatch):
    before = kept.sources_digest()
    copy = tmp_path / "kernels"
    copy.mkdir()
    shutil.copytree(ROOT / "kernels", copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    assert kept.sources_digest(str(copy)) == before
    (copy / "step" / "lattice.py").write_text((copy / "step" / "lattice.py").read_text() + "\n")
    assert kept.sources_digest(str(copy)) != before
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert pathlib.Path(kept.cache_folder()).is_relative_to(tmp_path / "cache")


LINE = "-cell 50 -default_F 5 -detpixels 8 -nonoise -nopgm --backend strict"
WITHOUT_NUMBA = """
import sys
from nanobragg.cli.nanobragg.command import main
sys.exit(main(sys.argv[1:]) or "numba" in sys.modules)
"""


def test_kept_machine_code_needs_no_numba_and_is_checked(tmp_path):
    def run(*program):
        words = [sys.executable, *program, *LINE.split()]
        done = subprocess.run(words, cwd=tmp_path, env=environment_of(tmp_path), capture_output=True, text=True)
        return done, (tmp_path / "floatimage.bin").read_bytes() if done.returncode == 0 else b""

    first, pixels = run("-m", "nanobragg")
    assert first.returncode == 0 and "compiled first" in first.stderr
    files = sorted((tmp_path / "nanobragg").rglob("strict.loops.render_pixels-*"))
    assert len(files) == 1
    second, again = run("-c", WITHOUT_NUMBA)
    assert second.returncode == 0 and again == pixels and "compiled first" not in second.stderr
    whole = files[0].read_bytes()
    for broken in (whole[:1000], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        files[0].write_bytes(broken)
        third, anew = run("-m", "nanobragg")
        assert third.returncode == 0 and anew == pixels
        check, _, rest = files[0].read_bytes().partition(b"\n")
        assert hashlib.sha256(rest).hexdigest().encode() == check


def test_it_is_said_that_a_kernel_is_compiled_whichever_it_is(tmp_path):
    """Renders, noise and traces: once each, and not when they are kept."""
    small = "-cell 50 -default_F 5 -detpixels 8 -nopgm -seed 1".split()
    for more in ("--backend cref --noise philox", "--backend strict --trace 1,1", "--backend fast"):
        for again in (False, True):
            line = [sys.executable, "-m", "nanobragg", *small, *more.split()]
            done = subprocess.run(line, cwd=tmp_path, env=environment_of(tmp_path), capture_output=True, text=True)
            assert done.returncode == 0
            assert done.stderr.count("compiled first") == (0 if again else 1), (more, done.stderr)


TWO = """
import sys
from nanobragg.kernels.compiling import machine_code
made = machine_code.Kernel._compile
def compiled(self, *arguments):
    print(f"made:{self.module}.{self.name}", flush=True)
    return made(self, *arguments)
machine_code.Kernel._compile = compiled
from nanobragg.cli.nanobragg.command import main
sys.exit(main(sys.argv[1:]))
"""


def test_two_processes_at_once_compile_once(tmp_path):
    line = [sys.executable, "-c", TWO, *LINE.split()]
    both = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        both.append(
            subprocess.Popen(line, cwd=tmp_path / name, env=environment_of(tmp_path), stdout=subprocess.PIPE, text=True)
        )
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    made = sorted(word for text in said for word in text.split() if word.startswith("made:"))
    assert made == ["made:compiling.probe.probe", "made:strict.loops.render_pixels"]
    assert (tmp_path / "a" / "floatimage.bin").read_bytes() == (tmp_path / "b" / "floatimage.bin").read_bytes()


FORBIDDEN = """
import pathlib, sys
import numpy as np
from nanobragg.kernels.compiling import machine_code
def compiled(self, *arguments):
    raise AssertionError(f"{self.module}.{self.name} is compiled: {arguments[0]}")
machine_code.Kernel._compile = compiled
from nanobragg.engine.original import figures as images
from nanobragg.kernels.image import rendered
from tests.support import frozen
from nanobragg.engine.render import counts_of, render
from tests.support import BY_NAME, set_up
def readonly(array):
    array.setflags(write=False)
    return array
folder = pathlib.Path(sys.argv[1])
rendered.WORTH_KERNELS = 0
for name in sys.argv[2:]:
    experiment = set_up(BY_NAME[name].arguments(folder), folder)
    plan = frozen(experiment)
    for backend, precision in (("strict", "double"), ("fast", "double"), ("fast", "mixed")):
        image = render(plan, backend, threads=1, precision=precision)
    many = plan.changed(roi=(0, 3, 0, 3), mosaic_rotations=readonly(np.tile(np.eye(3).reshape(1, 9), (20000, 1))))
    for few in (many, many.changed(running_products=False, interpolation_ends=False, interpolate=False), many.changed(interpolation_ends=False)):
        render(few, "fast", threads=1)
    images.statistics(image, frozenset(), 1)
    images.integers(image, 1.0, 40.0, frozenset())
    images.greys(image, 1.0, frozenset())
    for philox in (False, True):
        counts_of(experiment.scene, image, philox=philox, threads=1)
import nanobragg as nb
from nanobragg.engine.truth.labels import labels_of
stages = ((500.0, 3000.0, 12.0, 25.0), (-17.0, 15000.0, 8.0, 750.0))
for backgrounds, response in (
    ((nb.Gas(),), nb.Response(point_spread="fiber", spread_um=80, calibration_percent=3, readout=3)),
    ((), nb.Response(stages=stages, dead_pixels=0.1)), ((nb.Water(edge_um=1),), nb.Response(point_spread="gaussian", spread_um=80)),
):
    detector = nb.Detector(shape=(20, 30), pixel_mm=1.0, thickness_um=300, attenuation_um=300)
    crystal = nb.Crystal(cell=(50, 50, 50, 90, 90, 90), N=(3, 3, 3))
    e = nb.Experiment(crystal, detector, nb.constant(3.0), backgrounds=backgrounds, response=response)
    made, scene = nb.render_experiment(e, backend="fast", threads=1), nb.scene(e)
    nb.read_out(made.image, scene, 1, threads=1)
    labels_of(scene, made.panels, 1)
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder that nb-compile has made, read-only."""
    folder = tmp_path_factory.mktemp("prepared") / "kernels"
    line = [sys.executable, "-m", "nanobragg.cli.tools.compile", str(folder)]
    done = subprocess.run(line, env=environment_of(folder.parent / "own"), capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr and str(folder) in done.stdout.splitlines()[-1]
    assert processor().name in done.stdout
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in everything:
        path.chmod(0o755)


def test_all_kernels_are_prepared(prepared, tmp_path):
    """Nothing is compiled any more, whatever is asked for: every twelfth golden case, by all kernels."""
    names = sorted({case.name for case in CASES})[::12]
    environment = environment_of(tmp_path / "own", NANOBRAGG_KERNELS=str(prepared))
    line = [sys.executable, "-c", FORBIDDEN, str(tmp_path), *names]
    done = subprocess.run(line, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_preparing_again_has_nothing_to_do(prepared, tmp_path):
    line = [sys.executable, "-m", "nanobragg.cli.tools.compile", str(prepared)]
    done = subprocess.run(line, env=environment_of(tmp_path), capture_output=True, text=True)
    if os.getuid():
        assert done.returncode == 1 and "may not be written to" in done.stderr
    else:
        assert done.returncode == 0 and done.stdout.splitlines()[0].endswith("already")


def test_what_cannot_be_kept_is_said(tmp_path):
    """No file may be larger than 4 kB: a full disk. The first one ends it."""
    line = f"ulimit -f 8; exec {sys.executable} -m nanobragg.cli.tools.compile {tmp_path / 'kernels'}"
    done = subprocess.run(["bash", "-c", line], env=environment_of(tmp_path), capture_output=True, text=True)
    assert done.returncode and "could not be kept" in done.stderr and len(done.stderr.splitlines()) == 1


def test_traces_are_prepared_too(prepared, tmp_path):
    """In the user's cache, which has all else already."""
    environment = environment_of(tmp_path)
    shutil.copytree(prepared, tmp_path / "nanobragg")
    for path in (tmp_path / "nanobragg", *(tmp_path / "nanobragg").rglob("*")):
        path.chmod(0o755)
    assert subprocess.run([sys.executable, "-m", "nanobragg.cli.tools.compile"], env=environment).returncode == 0
    for more in (
        "--backend fast",
        "--backend strict --fix all",
        "--backend fast -round_xtal -detector_thick 300 --fix all",
    ):
        words = [*LINE.replace("--backend strict", more).split(), "--trace", "1,2"]
        line = [sys.executable, "-m", "nanobragg", *words]
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and "compiled first" not in done.stderr, (more, done.stderr)


def test_a_named_folder_without_kernels_is_no_obstacle(tmp_path):
    for named in ("none", "file"):
        (tmp_path / "file").write_text("no folder")
        environment = environment_of(tmp_path / "own", NANOBRAGG_KERNELS=str(tmp_path / named))
        line = [sys.executable, "-m", "nanobragg", *LINE.split()]
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and "Traceback" not in done.stderr and "unexpected" not in done.stderr
        assert f"{kept.VARIABLE}={tmp_path / named} has none for {processor().name}" in done.stderr
        assert not (tmp_path / "none").exists()
        done = subprocess.run(
            [sys.executable, "-m", "nanobragg.cli.tools.compile", ""], env=environment, capture_output=True
        )
        assert done.returncode and len(done.stderr.splitlines()) == 1
        shutil.rmtree(tmp_path / "own", ignore_errors=True)
    named = [sys.executable, "-m", "nanobragg", "--compile"]
    done = subprocess.run(named, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and f"{kept.VARIABLE} {tmp_path / 'file'}: is a file, not a folder" in done.stderr
    done = subprocess.run([*named, "folder"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "--compile: stands alone" in done.stderr


def test_what_traces_call_may_be_damaged(tmp_path):
    line = [sys.executable, "-m", "nanobragg", *LINE.split(), "--trace", "1,2"]

    def run():
        done = subprocess.run(line, cwd=tmp_path, env=environment_of(tmp_path / "own"), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done

    first = run()
    for name, damaged in (("*.nbi", b"junk"), ("*.nbi", b""), ("*.nbc", b"junk")):
        files = list((tmp_path / "own").rglob(name))
        assert files
        for path in files:
            path.write_bytes(damaged)
        assert run().stdout == first.stdout
    assert "compiled first" not in run().stderr


def test_folders_that_cannot_be_had(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for folder, why in ((tmp_path / "file", "is a file, not a folder"), ("/proc/no/such", "No such file")):
        assert nb_compile.main([str(folder)]) != 0
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 and why in said[0]


LIGHT = """
import sys
from nanobragg.cli.nanobragg.command import main
assert main(sys.argv[1:]) == 0
heavy = {"llvmlite", "numba", "gemmi", "h5py", "concurrent.futures", "numpy.ma", "nanobragg.engine.check.trace",
         "nanobragg.kernels.compiling.machine_code", "nanobragg.kernels.cuda.host", "nanobragg.engine.factors.files"}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or 0)
"""


@pytest.mark.cref
def test_a_small_image_loads_next_to_nothing(tmp_path):
    line = "-cell 50 -default_F 5 -detpixels 64 -seed 1 --threads 2".split()
    done = subprocess.run([sys.executable, "-c", LIGHT, *line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


ALONE = """
import sys
sys.argv[1:] = [{!r}]
from nanobragg.cli.start import main
main()
sys.exit("numpy" in sys.modules)
"""


def test_help_loads_no_numpy():
    for word in ("--help", "--version", "-h"):
        done = subprocess.run([sys.executable, "-c", ALONE.format(word)], capture_output=True, text=True)
        assert done.returncode == 0 and "nanoBragg" in done.stdout


ANOTHER = """
import sys
import numpy as np
from nanobragg.kernels.compiling import machine_code
CHANGED = {
    "order": lambda self, value: add(self, value[::-1] if isinstance(value, tuple) else value),
    "fewer": lambda self, value: add(self, value[:-1] if isinstance(value, tuple) else value),
    "more": lambda self, value: (add(self, value), isinstance(value, np.ndarray) and add(self, 0)),
    "as it is": lambda self, value: add(self, value),
}
add, how = machine_code.Words._add, CHANGED[sys.argv[1]]
def changed(self, value):
    if isinstance(value, np.ndarray | tuple):
        machine_code.Words._add = add
        try:
            how(self, value)
        finally:
            machine_code.Words._add = changed
    else:
        add(self, value)
machine_code.Words._add = changed
print(machine_code.is_known(), flush=True)
machine_code.Words._add = add
if sys.argv[2:]:
    from nanobragg.cli.nanobragg.command import main
    sys.exit(main(sys.argv[2:]))
"""


def in_another_convention(how, folder, *words, **more):
    """What is said of a calling convention, and the image of a command line that then runs."""
    folder.mkdir(exist_ok=True)
    line = [sys.executable, "-c", ANOTHER, how, *words]
    env = environment_of(folder, **more)
    done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0], np.fromfile(folder / "floatimage.bin", np.float32) if words else None


@pytest.mark.parametrize("how", ["order", "fewer", "more", "as it is"])
def test_another_calling_convention_is_noticed(how, tmp_path):
    assert in_another_convention(how, tmp_path)[0] == str(how == "as it is")


@pytest.mark.parametrize("backend", ["strict", "fast"])
def test_numba_calls_kernels_where_we_cannot(backend, prepared, tmp_path):
    line = LINE.replace("strict", backend).split()
    by_numba = in_another_convention("fewer", tmp_path / "fewer", *line)[1]
    by_us = in_another_convention("as it is", tmp_path / "as it is", *line, NANOBRAGG_KERNELS=str(prepared))[1]
    assert by_us.max() > 0.0
    if backend == "strict":
        np.testing.assert_array_equal(by_numba, by_us)
    else:
        assert_close_image(by_numba, by_us)
