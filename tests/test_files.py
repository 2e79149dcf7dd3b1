"""Readers and writers, one by one."""

import dataclasses
import math
import os
import stat

import numpy as np
import pytest

from nanobragg.engine.errors import BadFile, BadInput
from nanobragg.engine.factors.tables import from_reflections, read_dump_table, read_hkl
from nanobragg.engine.formats import hkl, reading
from nanobragg.engine.formats.columns import read_columns
from nanobragg.engine.formats.dump import read_dump, write_dump
from nanobragg.engine.formats.smv import read_smv, value
from nanobragg.engine.formats.whole import whole_file
from tests.support import locate_pixels

HKL = {
    "plain": ("1 2 3 4.5\n-1 0 2 7\n", 2, 2),
    "one line": ("1 2 3 4.5 -1 0 2 7", 2, 2),
    "carriage returns": ("1 2 3 4.5\r\n-1 0 2 7\r\n", 2, 2),
    "glued signs": ("10-12 -3 5 1 2 3 4", 2, 2),
    "an index with a point": ("1 2 3 4\n1.0 2 3 4\n5 6 7 8\n", 3, 1),
    "an index with an exponent": ("1 2 3 4\n1 1e1 3 4\n", 2, 1),
    "a fifth column": ("1 2 3 4 9\n1 2 3 4 9\n1 2 3 4 9\n1 2 3 4 9\n", 5, 5),
    "a comment": ("1 2 3 4\n# none\n1 2 3 4\n", 1, 1),
    "a header": ("h k l F\n1 2 3 4\n", 0, 0),
    "incomplete": ("1 2 3 4\n1 2 3", 1, 1),
    "hexadecimal": ("0x10 2 3 4\n", 1, 0),
    "exponents in F": ("1 2 3 4e2 1 2 4 1e-3\n", 2, 2),
    "nothing": ("", 0, 0),
    "spaces": (" \n\n", 0, 0),
    "binary": ("\0\1\2", 0, 0),
    "a lonely exponent": ("1 2 3 4e\n", 1, 1),
    "a lonely sign": ("1 2 3 4 5 6 7 +\n", 1, 1),
    "a lonely point": ("1 2 3 4 5 6 7 .\n", 1, 1),
    "a point in the third column": ("0 0 0 1\n3 3 3 2\n1 1 2.5 3\n2 2 2 2\n1 1 1 5\n", 5, 5),
}


@pytest.mark.parametrize(("text", "count", "usable"), HKL.values(), ids=HKL.keys())
def test_hkl_texts(text, count, usable):
    found = hkl.read_reflections(text.encode("latin-1"))
    assert (found.count, len(found.amplitudes)) == (count, usable)


def test_both_ways_of_reading_hkl_agree():
    rng = np.random.default_rng(5)
    for _ in range(50):
        style = rng.choice([".4g", ".3f", ".12f", ".17g", ".0f", "+.5e"])
        rows = [
            f"{h} {k} {x} {f:{style}}"
            for (h, k, x), f in zip(rng.integers(-40, 40, (30, 3)), rng.normal(0, 1e3, 30), strict=True)
        ]
        rows[3] = rng.choice(["1 2 3 -0.0", "1 2 3 5.", "1 2 3 .5", "-01 +2 003 -.25"])
        text = rng.choice([" ", "\n", "\t\n"]).join(rows)
        quick, slow = hkl.read_reflections(text.encode()), hkl._scanned(text)
        assert hkl._plain_table(text.encode()) is not None
        for field in [f for f in dataclasses.fields(hkl.Reflections) if f.name != "remarks"]:
            np.testing.assert_array_equal(getattr(quick, field.name), getattr(slow, field.name))
        assert quick.amplitudes.tobytes() == slow.amplitudes.tobytes()


def test_a_point_in_the_third_column_shifts_what_follows():
    found = hkl.read_reflections(b"0 0 0 1\n3 3 3 2\n1 1 2.5 3\n2 2 2 2\n1 1 1 5\n")
    rows = [(*index, f) for index, f in zip(found.indices.tolist(), found.amplitudes.tolist(), strict=True)]
    assert rows == [(0, 0, 0, 1), (3, 3, 3, 2), (1, 1, 2, 0.5), (3, 2, 2, 2), (2, 1, 1, 1)]
    with pytest.raises(BadInput, match="not written as an integer"):
        from_reflections(hkl.read_reflections(b"0 0 1.0 10\n0 1 1.0 20\n"), 0.0, "x")


def test_table_of_reflections():
    factors = from_reflections(hkl.read_reflections(b"0 0 0 5 1 0 0 6 1 0 0 7 -1 2 1 8"), 2.5, "x")
    assert factors.table.shape == (4, 4, 3) and factors.n_hkl == 4
    assert factors.table[2, 0, 0] == 7 and factors.table[1, 0, 0] == 5 and factors.table[0, 2, 1] == 8
    assert factors.table[0, 0, 0] == 2.5, "holes are filled with default_F"
    assert not factors.table[-1].any() and not factors.table[:, -1].any() and not factors.table[..., -1].any()


def test_dump_comes_back(tmp_path):
    factors = from_reflections(hkl.read_reflections(b"0 0 0 5 1 2 3 6"), 0.0, "x")
    write_dump(str(tmp_path / "d"), factors.bounds, factors.table)
    data = (tmp_path / "d").read_bytes()
    assert data.startswith(b"0 1 0 2 0 3\n\f") and len(data) == 13 + 3 * 4 * 5 * 8
    again = read_dump(data, "d", lambda bounds: None)
    np.testing.assert_array_equal(again.table, factors.table)
    assert (again.shifted, again.missing) == (0, 0)
    cut = read_dump(data[:-100], "d", lambda bounds: None)
    assert cut.missing == 100 and not cut.table.reshape(-1)[-13:].any()


def test_dump_that_begins_with_white_space_is_shifted(tmp_path):
    table = np.zeros((2, 2, 2))
    table[0, 0, 0] = np.frombuffer(b"\x20" + b"\1" * 5 + b"\x45\x40", "<f8")[0]
    write_dump(str(tmp_path / "d"), np.zeros((3, 2), np.int64), table)
    remarks = []
    factors = read_dump_table(str(tmp_path / "d"), 0.0, remarks.append, skips_white=True, pads=True)
    assert factors.table[0, 0, 0] != table[0, 0, 0] and any("Q60" in line for line in remarks)


@pytest.mark.parametrize("data", [b"", b"1 2 3", b"10 11 12 13 14\n\f", b"123456\n\f", b"\0" * 100, b"a b c d e f"])
def test_what_is_no_dump(data):
    with pytest.raises(BadInput, match="six numbers"):
        read_dump(data, "-dump x", lambda bounds: None)


def test_absurd_tables_are_refused(tmp_path):
    for name, data in (("hkl", b"0 0 0 1\n100000 100000 100000 1\n"), ("dump", b"0 99999 0 99999 0 99999\n\f")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInput, match="GB"):
            read_hkl(str(tmp_path / name), 0.0, print) if name == "hkl" else read_dump_table(
                str(tmp_path / name), 0.0, print
            )


NAN = math.nan
COLUMNS = {
    "full": ("1 2 3 4 5\n", [[1, 2, 3, 4, 5]]),
    "short": ("1 2 3\n", [[1, 2, 3, NAN, NAN]]),
    "short, trailing blanks": ("1 2 3  \n", [[1, 2, 3, NAN, NAN]]),
    "short, carriage return": ("1 2 3\r\n", [[1, 2, 3, 0, 0]]),
    "short, no line end": ("1 2 3", [[1, 2, 3, 0, 0]]),
    "commas": ("1,2;3:4!5\n", [[1, 2, 3, 4, 5]]),
    "a word": ("1 x 3 4 5\n", [[1, 0, 3, 4, 5]]),
    "a trailing comment": ("1 2 3 # far away\n", [[1, 2, 3, 0, 0]]),
    "a comment line": ("# all\n1 2 3 4 5\n", [[0, 0, 0, 0, 0], [1, 2, 3, 4, 5]]),
    "blank lines": ("\n  \n1 2 3 4 5\n", [[1, 2, 3, 4, 5]]),
    "more columns": ("1 2 3 4 5 6 7\n", [[1, 2, 3, 4, 5]]),
    "nothing": ("", []),
}


@pytest.mark.parametrize(("text", "rows"), COLUMNS.values(), ids=COLUMNS.keys())
def test_columns(text, rows):
    np.testing.assert_array_equal(read_columns(text.encode(), 5), np.array(rows, dtype=float).reshape(-1, 5))


def test_header_values():
    header = "{\nSIZE1=5;\nDISTANCE=100;\nCLOSE_DISTANCE=98;\nAXIS=PHI;\nOSC=3;\nLAST"
    assert value(header, "DISTANCE") == 98, "the last occurrence, also inside a longer key"
    assert value(header, "PHI") == 3, "the number after the next ="
    assert value(header, "MISSING") is None and value(header, "LAST") == 0.0 and value("A=nan;", "A") is None


def smv(header: str, pixels: bytes = b"", size: int = 512) -> bytes:
    return header.encode().ljust(size) + pixels


GOOD = "{\nHEADER_BYTES=512;\nBYTE_ORDER=big_endian;\nSIZE1=3;\nSIZE2=2;\n}\f"


def test_smv_pixels_ignore_byte_order_and_may_be_missing(tmp_path):
    (tmp_path / "a").write_bytes(smv(GOOD, np.array([1, 2, 258], "<u2").tobytes() + b"\7"))
    image = read_smv(str(tmp_path / "a"), "-img", any_type=True)
    assert (image.width, image.height) == (3, 2) and image.pixels.tolist() == [1, 2, 258, 7, 0, 0]
    (tmp_path / "b").write_bytes(smv(GOOD.replace("512", "1024"), np.arange(6, dtype="<u2").tobytes(), 1024))
    assert read_smv(str(tmp_path / "b"), "-img", any_type=True).pixels.tolist() == list(range(6))


BAD_SMV = {
    "empty": (b"", 9), "short": (b"{\nHEADER_BYTES=512;\n", 9), "text": (b"x" * 600, 1),
    "shorter than its header": (smv(GOOD.replace("512", "4096")), 9),
    "no byte order": (smv(GOOD.replace("BYTE_ORDER", "ORDER")), 1),
    "no size": (smv(GOOD.replace("SIZE", "SIDE")), 1),
    "negative size": (smv(GOOD.replace("SIZE1=3", "SIZE1=-3")), 1),
    "absurd size": (smv(GOOD.replace("SIZE1=3", "SIZE1=2000000000").replace("SIZE2=2", "SIZE2=2000000000")), 1),
    "negative header": (smv(GOOD.replace("512", "-12")), 1),
}  # fmt: skip


@pytest.mark.parametrize(("data", "status"), BAD_SMV.values(), ids=BAD_SMV.keys())
def test_bad_smv(data, status, tmp_path):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BadInput) as error:
        read_smv(str(tmp_path / "x"), "-mask")
    assert isinstance(error.value, BadFile) == (status == 9) and "x" in str(error.value)


def test_a_long_header_pushes_the_pixels_back():
    assert locate_pixels(b"{HEADER_BYTES=512;" + b"x" * 600 + b"}\fpixels") == 620


def test_files_appear_whole_or_not_at_all(tmp_path):
    target = tmp_path / "image"
    target.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), whole_file(str(target), "-floatfile") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert target.read_bytes() == b"before" and os.listdir(tmp_path) == ["image"]
    os.chmod(target, 0o640)
    with whole_file(str(target), "-floatfile") as file:
        file.write(b"after")
    assert target.read_bytes() == b"after" and stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_link_keeps_pointing_to_its_file(tmp_path):
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "link").symlink_to("real")
    with whole_file(str(tmp_path / "link"), "-floatfile") as file:
        file.write(b"2")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"2"


@pytest.mark.parametrize("path", ["/nowhere/at/all", "", "."])
def test_outputs_that_cannot_be_made(path):
    with pytest.raises(BadFile) as error, whole_file(path, "-intfile"):
        pass
    assert "-intfile" in str(error.value)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk():
    with pytest.raises(BadInput, match="No space left"), whole_file("/dev/full", "-floatfile") as file:
        file.write(bytes(10_000_000))


def test_reals_stop_at_the_first_word():
    assert reading.scan_reals("1 2.5\n-3e1 x 4", 9) == [1, 2.5, -30]
    assert reading.scan_reals("1 2 3 4", 3) == [1, 2, 3]
    assert reading.scan_real("1e+", 0) == (1.0, 3) and reading.scan_real("1e ", 0) == (1.0, 2)
    assert reading.scan_real("0x.8", 0) == (0.5, 4) and reading.scan_real("0x", 0) is None
    assert reading.scan_real("infin", 0) is None and reading.scan_real("-inf", 0) == (-math.inf, 4)
