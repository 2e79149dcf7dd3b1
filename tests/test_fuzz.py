"""Random arguments, headers and hkl files: never a traceback, never a hang, an exit status of 0, 1 or 9."""

import contextlib
import io
import os
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanobragg.cli.nanobragg.command import main
from nanobragg.cli.nanobragg.rules import RULES
from nanobragg.kernels.cref import host as cref
from tests.support import INPUT_FOLDERS, working_in

pytestmark = pytest.mark.cref
SMALL = ["-detpixels", "6", "-oversample", "1"]  # last, so that they win over what was drawn
BASE = ["-cell", "50", "60", "70", "80", "90", "100", "-default_F", "10"]
LIMITS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

NAMES = sorted({pattern.text for rule in RULES for pattern in rule.patterns} | {"-img", "-mask"})
FILE_FLAGS = (
    "-floatfile",
    "-intfile",
    "-pgmfile",
    "-noisefile",
    "-floatimage",
    "-intimage",
    "-pgmimage",
    "-noiseimage",
)
numbers = st.one_of(
    st.integers(-3, 12).map(str),
    st.floats(-200, 200).map(lambda x: f"{x:.4g}"),
    st.sampled_from(["0", "-1", "1e-300", "1e300", "inf", "nan", "-0", "0x10", "99999999999", "1e5", "abc", "", "-"]),
)
files = st.sampled_from(
    [
        str(folder / name)
        for folder in INPUT_FOLDERS[:1]
        for name in ("small_cell.hkl", "triclinic.mat", "sources.txt", "mask.img")
    ]
    + [".", "nowhere", "/dev/null"]
)
values = st.one_of(numbers, numbers, numbers, files, st.sampled_from(["random", "beam", "sample"]))
names = st.one_of(
    st.sampled_from(NAMES), st.sampled_from(NAMES).map(lambda n: n + "x"), st.text("-abcN_dx", max_size=6)
)
words = st.lists(st.one_of(names, values), max_size=14)


def harmless(line):
    """Random words must not name outputs: file flags are dropped, so that outputs keep their default names."""
    return [word for word in line if not any(flag in word for flag in FILE_FLAGS) and "-dump" not in word]


def run(arguments):
    """Exit status and stderr of one run in a folder of its own; unexpected exceptions come through."""
    err = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, working_in(folder):
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            status = main(arguments)
        left = os.listdir(folder)
    return status, err.getvalue(), left


@pytest.fixture(autouse=True)
def show_exceptions(monkeypatch):
    monkeypatch.setenv("NANOBRAGG_DEBUG", "1")
    assert cref.available()


def check(arguments):
    status, err, left = run(["--backend", "cref", *arguments, "-noprogress"])
    assert status in (0, 1, 9), err
    assert not [name for name in left if name.endswith(".part")]
    assert status == 0 or err.strip(), "a failure without a word"
    assert ("floatimage.bin" in left) == (status == 0)


@LIMITS
@given(words)
def test_random_arguments(line):
    check([*BASE, *harmless(line), *SMALL, "-hdivsteps", "2", "-vdivsteps", "2", "-dispsteps", "1", "-mosaic_domains", "2",
           "-phisteps", "2", "-thicksteps", "2"])  # fmt: skip


@LIMITS
@given(words)
def test_random_arguments_alone(line):
    check([*harmless(line), "-detpixels", "3", "-oversample", "1", "-hdivsteps", "1", "-mosaic_domains", "1", "-phisteps", "1",
           "-thicksteps", "1", "-vdivsteps", "1", "-dispsteps", "1"])  # fmt: skip


header_lines = st.one_of(
    st.tuples(
        st.sampled_from(["SIZE1", "SIZE2", "PIXEL_SIZE", "DISTANCE", "CLOSE_DISTANCE", "WAVELENGTH", "BEAM_CENTER_X",
                         "BEAM_CENTER_Y", "ORGX", "XDS_ORGY", "PHI", "OSC_RANGE", "TWOTHETA", "HEADER_BYTES", "BYTE_ORDER",
                         "DETECTOR_DIMENSIONS"]),
        numbers,
    ).map("=".join),
    st.text(max_size=12),
)  # fmt: skip
headers = st.lists(header_lines, max_size=12).map(";\n".join)


@LIMITS
@given(headers, st.booleans(), st.sampled_from(["-img", "-mask"]), st.binary(max_size=300))
def test_random_headers(text, well_begun, flag, pixels):
    begin = "{\nHEADER_BYTES=512;\nBYTE_ORDER=x;\nSIZE1=8;\nSIZE2=8;\n" if well_begun else ""
    data = (begin + text).encode("utf-8", "replace").ljust(512)[:512] + pixels
    with tempfile.NamedTemporaryFile(suffix=".img") as file:
        file.write(data)
        file.flush()
        check([*BASE, flag, file.name, "-phisteps", "1", *SMALL])


hkl_words = st.one_of(st.integers(-9, 9).map(str), st.floats(-1e3, 1e3).map(lambda x: f"{x:.5g}"),
                      st.sampled_from(["nan", "inf", "1e", "x", "#", "-", "1e400", "99999999999", "0x3", "1-2", "\0"]))  # fmt: skip
hkl_texts = st.one_of(
    st.lists(hkl_words, max_size=40).map(" ".join),
    st.lists(
        st.tuples(*[st.integers(-9, 9)] * 3, st.floats(0, 1e3)).map(lambda r: "{} {} {} {:.3f}".format(*r)), max_size=20
    ).map("\n".join),
)


@LIMITS
@given(
    st.one_of(hkl_texts.map(str.encode), st.binary(max_size=200)),
    st.sampled_from(["-hkl", "-mat", "-sourcefile", "-dump", "-stol"]),
)
def test_random_files(data, flag):
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        check([*BASE, flag, file.name, *SMALL])
