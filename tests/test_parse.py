"""The rules of the command line: numbers from text, and every surprise that the original's matching holds."""

import math

import pytest

from nanobragg.cli.nanobragg.explain import explanation, remarks
from nanobragg.cli.nanobragg.options import nearest, own_options
from nanobragg.cli.nanobragg.parse import named_headers, parse
from nanobragg.cli.nanobragg.rules import HEADER_FLAGS, RULES
from nanobragg.cli.nanobragg.usage import OPTIONS, help_text, reference, usage
from nanobragg.engine.c_numbers import DEGREES, divide, g, integer, real, to_int32
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original.settings import Settings
from tests.support import ROOT


def settings(line):
    return parse(line.split(), {}).settings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12abc", 12), ("abc", 0), ("-osc", 0), ("1e3", 1000), (".5", 0.5), ("1d3", 1), ("  -7.5e-1x", -0.75), ("0x10", 16),
        ("0x1.8p1", 3), ("1e", 1), ("1e+", 1), ("+", 0), (".", 0), ("", 0), ("infinity", math.inf), ("-inf", -math.inf),
        ("1e999", math.inf), ("0x", 0), ("5.", 5), ("1_000", 1), ("\u0661", 0), ("0x1p99999", math.inf),
    ],
)  # fmt: skip
def test_reals(text, value):
    assert real(text) == value


def test_not_a_number():
    assert math.isnan(real("nan")) and math.isnan(real("NaN(1)"))


@pytest.mark.parametrize(
    ("text", "value"),
    [("5.7", 5), ("1e3", 1), ("abc", 0), (" -12x", -12), ("4294967297", 1), ("99999999999999999999", -1), ("+3", 3),
     ("-99999999999999999999", 0), ("2147483648", -2147483648), ("9" * 5000, -1)],
)  # fmt: skip
def test_integers(text, value):
    assert integer(text) == value


def test_conversions():
    assert to_int32(2147483647.9) == 2147483647 and to_int32(2147483648.0) == -2147483648
    assert to_int32(math.nan) == to_int32(math.inf) == -2147483648 and to_int32(-1.5) == -1
    assert divide(1.0, -0.0) == -math.inf and math.isnan(divide(0.0, 0.0))
    assert [g(x) for x in (-0.0, 1e-5, 123456789.0, math.inf, math.nan, -math.nan)] == [
        "-0", "1e-05", "1.23457e+08", "inf", "nan", "-nan"]  # fmt: skip


def test_there_are_all_rules_and_each_sets_a_setting():
    assert [rule.number for rule in RULES] == list(range(1, 124))
    known = set(Settings.__dataclass_fields__)
    for rule in RULES:
        changes = rule.effect(["1", "2", "3", "4", "5", "6"])
        assert set(changes) <= known, rule.name


SURPRISES = [
    ("-misset_seed 7", {"misset_mode": 0, "misset_seed": -7}),
    ("-misset random -misset_seed 7", {"misset_mode": -1, "misset_seed": -7}),
    ("-misset random -misset_seed 7 -N 5", {"misset_mode": 1, "misset_x": 7 / DEGREES, "misset_y": 0, "misset_z": 5 / DEGREES}),
    ("-misset 10 20 30 -misset_seed 7 -oversample 1", {"misset_x": 7 / DEGREES, "misset_z": 1 / DEGREES, "oversample": 1}),
    ("-misset_seed 7 -misset random", {"misset_mode": -1}),
    ("-misset_seed random", {"misset_mode": -1, "misset_seed": 0}),
    ("-misset 1 2", {"misset_mode": 0}),
    ("-twotheta 15 -twotheta_axis 0 1 0.2", {"twotheta": 0, "tt_axis": (0, 1, 0.2), "convention": "CUSTOM", "pivot": "SAMPLE"}),
    ("-twotheta_axis 0 1 0 -twotheta 15", {"twotheta": 15 / DEGREES}),
    ("-twotheta_axis 3 1", {"twotheta": 3 / DEGREES, "convention": "MOSFLM"}),
    ("-printout_pixel 3 4", {"printout": True, "print_f": 3, "print_s": 4}),
    ("-printout_pixel 3", {"printout": True, "print_f": -1}),
    ("-oversample_thick -oversample 3", {"over_thick": True, "oversample": 3}),
    ("-oversample_other 3", {"oversample": 3}),
    ("-close_distance 90", {"close_distance": 0.09, "distance": 0.1}),
    ("-close-distance 90", {"close_distance": None, "distance": 0.09}),
    ("-misset-seed 7 1 2", {"misset_mode": 1, "seed": -7, "misset_seed": 0}),
    ("-oversample-thick 2", {"oversample": 2, "over_thick": False}),
    ("-no-progress", {"progress": True}),
    ("-Nabc 5", {"N_a": 5.0, "N_b": 1.0, "N_c": 1.0}),
    ("--N 5", {"N_a": 1.0}),
    ("--distance 50", {"distance": 0.05}),
    ("-cell 60 -lambda 1", {"cell_a": 60, "cell_b": 0.0, "user_cell": True}),
    ("-cell 60 70 x 90", {"cell_b": 70, "cell_c": 0.0, "cell_alpha": 90 / DEGREES}),
    ("-cell -5", {"cell_a": 0.0, "user_cell": True}),
    ("-cell", {"user_cell": False}),
    ("-phi -osc 1", {"phi0": 0.0, "osc": 1 / DEGREES}),
    ("-curved_det", {"curved": False}),
    ("-curved_det x", {"curved": True}),
    ("-detector_thick 300 -detector_abs inf", {"thick": 0.0, "mu": 0.0}),
    ("-detector_abs inf -detector_thick 300", {"thick": 300 * 1e-6, "mu": 0.0}),
    ("-detector_thickness 300", {"thick": 0.0}),
    ("-noisefile f -nonoise", {"do_noise": False}),
    ("-nonoise -noisefile f", {"do_noise": True, "noise_file": "f"}),
    ("-nopgm -pgmscale 2", {"write_pgm": True}),
    ("-nopolar -polar 0.5", {"nopolar": False, "kahn": 0.5}),
    ("-fdet_vector 0 0 1 -xds", {"convention": "XDS"}),
    ("-xds -fdet_vector 1 0 0", {"convention": "CUSTOM", "fdet": (1, 0, 0), "sdet": (0, -1, 0)}),
    ("-pivot beamsample", {"pivot": "BEAM"}),
    ("-xds -pivot neither", {"pivot": "SAMPLE"}),
    ("-wavelength 2", {"lambda0": 2e-10}),
    ("-energy 12398.42", {"lambda0": 1e-10}),
    ("-Xbeam nan", {"Xbeam": None, "pivot": "BEAM"}),
    ("-seed 5 -mosaic_seed -5", {"seed": -5, "mosaic_seed": 5}),
    ("-width 2", {"size_y": 0.002}),
    ("-stolfile x -stol y", {"stol_file": "y"}),
    ("-4stol y", {"stol_file": "y", "stol_mult": 1e10 / 4}),
    ("-pgm x -noise y -beam 3", {}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), SURPRISES, ids=[line for line, _ in SURPRISES])
def test_surprises(line, expected):
    ours = settings(line)
    for name, value in expected.items():
        assert getattr(ours, name) == value, name
    if not expected:
        assert ours == Settings()


@pytest.mark.parametrize("flag", ["-detector_abs", "-detector_thick", "-detector_thicksteps", "-thicksteps"])
def test_where_the_original_crashes_a_value_is_asked_for(flag):
    with pytest.raises(BadInput, match=flag):
        settings(f"-N 5 {flag}")


@pytest.mark.parametrize(("line", "quoted"), [("-distance inf", "-distance inf"), ("-energy 0", "-energy 0"), ("-N 3 -fudge nan", "-fudge nan"),
                                              ("-fdet_vector 0 nan 1", "-fdet_vector 0 nan 1"), ("-scale 1e999", "-scale 1e999")])  # fmt: skip
def test_infinite_values_are_refused_by_name(line, quoted):
    with pytest.raises(BadInput, match=quoted):
        settings(line)


def test_first_pass():
    assert named_headers("-img a -imgfile b -mask c".split()) == {"img_file": "b", "mask_file": "c"}
    assert named_headers(["-x", "-img"]) == {}
    assert named_headers(["-img", "-mask", "m"]) == {"img_file": "-mask", "mask_file": "m"}


def test_no_rule_matches_an_option_of_ours():
    for option in OPTIONS:
        assert not [rule.name for rule in RULES if rule.matches(option.name)], option.name
        assert not any(flag in option.name for flag in HEADER_FLAGS)


def test_own_options_are_taken_out():
    options, rest = own_options(["--threads", "3", "-hkl", "x", "--backend", "strict", "--explain", "--backend=cref"])
    assert (options.threads, options.backend, options.explain) == (3, "cref", True)
    assert rest == ["-hkl", "x"]
    assert (
        own_options(["-help"])[0].help and own_options(["--fix=all"])[0].fixes == own_options(["--fix", "all"])[0].fixes
    )
    assert own_options(["-h"])[0].help and own_options(["-version"])[0].version


def test_words_that_are_nearly_known():
    assert nearest("-lamda") == " (did you mean -lambda?)" and nearest("--bakend") == " (did you mean --backend?)"
    assert nearest("-qqqq") == ""


@pytest.mark.parametrize(
    "line", ["--threads", "--threads 0", "--threads x", "--threads 99999999999", "--backend gpu", "--backend"]
)
def test_own_options_are_checked(line):
    with pytest.raises(BadInput, match=line.split()[0]):
        own_options(line.split())


def test_remarks():
    parsed = parse("-hdiv 3 stray -misset_seed 7 -N 5 -roi 1 2".split(), {})
    lines = list(remarks(parsed))
    assert len([x for x in lines if "ignored" in x]) == 6  # -hdiv 3 stray -roi 1 2
    assert any("-roi" in x and "4 arguments must follow" in x for x in lines)
    assert any("Q92" in x and "misset_mode = 1" in x for x in lines)
    assert not list(remarks(parse("-misset 1 2 -3 -width 5 -img x -mask y -xds".split(), {})))


def test_every_argument_is_explained():
    line = "-misset_seed 7 -N 5 odd -hdiv -roi 1".split()
    lines = list(explanation(parse(line, {})))
    assert len(lines) == len(line)
    assert "rule 122" in lines[0] and "rule 7" in lines[0]
    assert "ignored" in lines[4] and "rule 63 -roi: matches, but 4 must follow" in lines[6]


def test_texts_are_made_from_the_table():
    for rule in RULES:
        assert rule.name in help_text() and rule.help in help_text() and rule.name in usage()
    assert (ROOT / "docs" / "command-line.md").read_text() == reference()


@pytest.mark.parametrize("setting", ["seed", "mosaic_seed", "misset_seed"])
def test_the_lowest_seed_is_its_own_negative(setting):
    """In 32 bits, as the original negates it."""
    assert getattr(parse([f"-{setting}", "-2147483648"], {}).settings, setting) == -2147483648
    assert getattr(parse([f"-{setting}", "2147483647"], {}).settings, setting) == -2147483647
