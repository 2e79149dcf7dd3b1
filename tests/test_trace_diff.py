"""nb-trace: planted faults are named by the first figure that they change."""

import json

import numpy as np
import pytest

from nanobragg.cli.tools import trace as nb_trace
from nanobragg.engine.check import trace_diff
from nanobragg.engine.check.trace import Figure, as_json, text, trace
from tests.support import INPUT_FOLDERS, command, plan_of

INPUTS = INPUT_FOLDERS[0]
LINE = (
    "-mat {in}/triclinic.mat -hkl {in}/triclinic.hkl -lambda 1 -distance 100 -pixel 0.4 -detpixels 24 -N 5 "
    "-oversample 1 -phi 10 -osc 1 -phisteps 3 -polar 0.7"
)
PIXEL = (9, 14)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return plan_of(LINE, tmp_path_factory.mktemp("plan"))


def one_F_changed(plan):
    """The amplitude that the pixel's second evaluation uses."""
    place = [f for f in trace(plan, *PIXEL) if f.label == "table_address"][1].values[0]
    table = plan.factors.table.copy()
    table.flat[int(place)] *= 1.001
    return plan.changed(table=table)


def wavelength_off(plan):
    return plan.changed(wavelength=plan.sources.wavelength * (1.0 + 1e-9))


FAULTS = {
    "wavelength": (wavelength_off, "lambda_meters"),
    "polarization": (lambda plan: plan.changed(kahn=0.71), "polar_of_source"),
    "one F": (one_F_changed, "F_cell"),
    "phi step": (lambda plan: plan.changed(phi_step=plan.cells.phi_step * 1.01), "phi_rad[0,0,0,1,0]"),
    "distance": (
        lambda plan: plan.changed(pix0=plan.panels.pix0 * [1.001, 1.0, 1.0]),
        "pix0_vector_meters",
    ),
    "cell counts": (lambda plan: plan.changed(n_cells=(5.0, 6.0, 5.0)), "F_latt_b"),
    "fluence": (lambda plan: plan.changed(fluence=plan.scale.fluence * 1.26e5), "I_pixel_final"),
}


def written(figures, path):
    path.write_text(text(figures))
    return str(path)


@pytest.mark.parametrize("backend", ["strict", "fast", pytest.param("cref", marks=pytest.mark.cref)])
@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_named(name, backend, plan, tmp_path, capsys):
    fault, expected = FAULTS[name]
    a = written(trace(plan, *PIXEL, backend), tmp_path / "a")
    b = written(trace(fault(plan), *PIXEL, backend), tmp_path / "b")
    out = tmp_path / "out"
    assert nb_trace.main(["diff", a, b, "--tolerance", "1e-12", "--outdir", str(out)]) == 1
    found = json.loads((out / "metrics.json").read_text())["first_diverging"]
    assert found.partition("[")[0] == expected.partition("[")[0] and ("[" not in expected or found == expected)
    assert f"`{found}`" in (out / "summary.md").read_text() and f"`{found}`" in capsys.readouterr().out
    assert nb_trace.main(["diff", a, a]) == 0


def test_an_index_rounded_the_other_way_is_named(plan, tmp_path):
    figures = trace(plan, *PIXEL)
    other = [
        Figure(f.label, (f.values[0] + 1.0, *f.values[1:]), f.at) if f.label == "hkl_rounded" and f.at[3] == 2 else f
        for f in figures
    ]
    a, b = (
        trace_diff.read_trace(written(figures, tmp_path / "a")),
        trace_diff.read_trace(written(other, tmp_path / "b")),
    )
    assert trace_diff.first(trace_diff.compare(a, b, 1e-6), trace_diff.DIVERGING).name == "hkl_rounded[0,0,0,2,0]"


def test_traces_of_strict_and_fast_agree_within_tolerance(plan, tmp_path):
    """Up to the sign of a lattice factor, of which only the square counts."""
    a = trace_diff.read_trace(written(trace(plan, *PIXEL, "strict"), tmp_path / "a"))
    b = trace_diff.read_trace(written(trace(plan, *PIXEL, "fast"), tmp_path / "b"))
    diverging = [c for c in trace_diff.compare(a, b, 1e-9) if c.verdict not in (trace_diff.EQUAL, trace_diff.WITHIN)]
    assert all(c.name.startswith("F_latt") and abs(abs(c.a[0]) / abs(c.b[0]) - 1.0) < 1e-9 for c in diverging)


def test_other_programs_labels(plan, tmp_path):
    """An instrumented original: other separators, synonyms, no brackets, and no sum before polarization."""
    figures = trace(plan, *PIXEL)
    ours = written(figures, tmp_path / "ours")
    renamed = {"R_distance_meters": "airpath", "polar": "polarization", "I_pixel_final": "I_pixel"}
    lines = [
        f"TRACE_C: {renamed.get(f.label, f.label)} {' '.join(f'{v:.12g}' for v in f.values)}"
        for f in figures
        if not any(f.at) and f.label not in ("I_before_scaling", "I_before_scaling_pre_polar")
    ]
    (tmp_path / "theirs").write_text("nanoBragg started\n" + "\n".join(lines) + "\nTRACE_C: unknown_label 3\n")
    compared = trace_diff.compare(trace_diff.read_trace(ours), trace_diff.read_trace(str(tmp_path / "theirs")), 1e-9)
    by_name = {c.name: c.verdict for c in compared}
    assert by_name["R_distance_meters"] in (trace_diff.EQUAL, trace_diff.WITHIN)
    assert by_name["I_before_scaling_post_polar"] in (trace_diff.EQUAL, trace_diff.WITHIN)
    assert by_name["I_before_scaling_pre_polar"] == by_name["unknown_label"] == trace_diff.MISSING
    assert trace_diff.first(compared, trace_diff.DIVERGING) is None


def test_json_and_text_say_the_same(plan, tmp_path):
    figures = trace(plan, *PIXEL)
    (tmp_path / "a.json").write_text(json.dumps({"pixels": [{"figures": as_json(figures)}]}))
    assert trace_diff.read_trace(str(tmp_path / "a.json")) == trace_diff.read_trace(written(figures, tmp_path / "a"))


WORDS = [word.replace("{in}", str(INPUTS)) for word in LINE.split()]


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert nb_trace.main(["--pixel", "9", "14", "--brightest", "--json", "t.json", "--", *WORDS]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("# pixel") for line in lines) == 2
    assert any(line.startswith("TRACE I_before_scaling_pre_polar = ") for line in lines)
    entry = next(
        f for f in json.loads((tmp_path / "t.json").read_text())["pixels"][0]["figures"] if f["label"] == "phi_rad"
    )
    assert entry["unit"] == "rad"
    assert not (tmp_path / "Fdump.bin").exists()
    assert nb_trace.main(["phi", "--pixel", "9", "14", "--", *WORDS]) == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + 3 and table[2].split()[5] == "10"
    assert nb_trace.main(["hkl", "1", "0", "2", "--table", f"{INPUTS}/triclinic.hkl", "--", *WORDS]) == 0
    assert capsys.readouterr().out.count("F(1 0 2) = ") == 2


def test_the_worst_pixel_of_a_comparison(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(1).exponential(9.0, (24, 24)).astype("<f4")
    image.tofile("a.bin")
    image[5, 17] *= 2.0
    image.tofile("b.bin")
    assert nb_trace.main(["--worst", "a.bin", "b.bin", "--", *WORDS]) == 0
    assert "# pixel slow 5 fast 17" in capsys.readouterr().out


def test_fixes_after_the_dashes_count(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shown = []
    for before, after in (([], []), (["--fix", "sampling"], []), ([], ["--fix", "sampling"])):
        assert nb_trace.main(["--pixel", "9", "14", *before, "--", *WORDS, *after]) == 0
        shown.append(capsys.readouterr().out.split("TRACE phi_rad")[1].split("TRACE rot_a_a")[0])
    assert shown[0] != shown[1] == shown[2]
    assert nb_trace.main(["--pixel", "9", "14", "--", *WORDS, "--backend", "cref"]) == 2


def test_tables_that_differ(tmp_path, capsys):
    (tmp_path / "a.hkl").write_text("0 0 1 5\n1 0 0 7\n1 2 3 9\n")
    (tmp_path / "b.hkl").write_text("0 0 1 5\n1 0 0 8\n1 2 3 9\n")
    tables = ["--table", str(tmp_path / "a.hkl"), "--table", str(tmp_path / "b.hkl")]
    assert nb_trace.main(["hkl", "1", "0", "0", *tables]) == 1
    assert "1 of 24 entries differ, the first at 1 0 0: 7 and 8" in capsys.readouterr().out
    assert nb_trace.main(["hkl", "0", "0", "1", *tables]) == 0


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["--", *WORDS], "--pixel"),
        (["--pixel", "99", "0", "--", *WORDS], "pixel slow 99"),
        (["--pixel", "1", "1", "--", "-default_F", "1"], "no cell"),
        (["--pixel", "1", "1", "--", "-mat", "missing.mat", "-default_F", "1"], "missing.mat"),
        (["diff", "missing", "missing"], "missing"),
        (["hkl", "1", "2", "3"], "--table"),
        (["hkl", "1", "2", "3", "--table", "missing"], "missing"),
    ],
)
def test_bad_input(line, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert nb_trace.main(line) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("nb-trace:") and says in error


def test_files_that_are_no_traces(tmp_path, capsys):
    for content in ("", "hello", "{", "[1, 2]", '{"pixels": 3}'):
        (tmp_path / "x").write_text(content)
        assert nb_trace.main(["diff", str(tmp_path / "x"), str(tmp_path / "x")]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_drop_in_traces_too(tmp_path):
    done = command([*WORDS, "-nonoise", "--backend", "strict", "--trace", "9,14", "--trace", "0,0"], tmp_path)
    assert done.returncode == 0 and done.stdout.count("TRACE pix0_vector_meters = ") == 2
    image = np.fromfile(tmp_path / "floatimage.bin", "<f4").reshape(24, 24)
    traced = [float(x.split("= ")[1]) for x in done.stdout.splitlines() if x.startswith("TRACE floatimage_accumulated")]
    assert traced == [float(image[9, 14]), float(image[0, 0])]
    assert command([*WORDS, "--trace", "9"], tmp_path).returncode == 1
