"""Amplitudes from structures and lists: against direct summation, cctbx' figures, symmetry, and files gone wrong."""

import gzip

import gemmi
import numpy as np
import pytest

import nanobragg as nb
from nanobragg.cli.nanobragg.command import main
from nanobragg.cli.tools.hkl import main as nb_hkl
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors import atoms as model
from nanobragg.engine.factors import files, lists
from nanobragg.engine.factors.files import amplitudes_of
from nanobragg.engine.factors.wanted import Wanted
from nanobragg.engine.formats.whole import same_file
from tests.support import INPUT_FOLDERS, ROOT, working_in
from tests.tolerances import (
    ANOMALOUS_DIFFERENCE,
    DIRECT_SUMMATION,
    R_OF_ATOMS,
    R_OF_SOLVENT,
)

PDB = ROOT / "examples" / "1a8o.pdb"
TRUTH = np.load(INPUT_FOLDERS[0] / "1a8o_cctbx.npz")
HKL = TRUTH["hkl"].astype(np.int32)
SE = {"Se": "-8,4.5"}


@pytest.fixture(scope="module")
def structure():
    return gemmi.read_structure(str(PDB))


@pytest.fixture
def sphere():
    return model.Sphere(HKL, TRUTH["d"].astype(float) ** -2.0)


def R(a, b):
    return np.abs(a - b).sum() / b.sum()


def by_index(amplitudes):
    return {tuple(h): F for h, F in zip(amplitudes.hkl.tolist(), amplitudes.F.tolist(), strict=True)}


def test_atoms_against_direct_summation(structure):
    found = by_index(model.of_structure(structure, "x", 1.8, energy_eV=None, solvent=None, given={}))
    by_sum = gemmi.StructureFactorCalculatorX(structure.cell)
    some = list(found)[:: len(found) // 300]
    true = np.array([abs(by_sum.calculate_sf_from_model(structure[0], list(index))) for index in some])
    ours = np.array([found[index] for index in some])
    strong = true > 0.1 * true.mean()
    assert (np.abs(ours - true) / true)[strong].max() < DIRECT_SUMMATION and R(ours, true) < R_OF_ATOMS


def test_atoms_against_cctbx(structure, sphere):
    assert R(np.abs(model.of_atoms(structure, sphere, 2.4, {})), TRUTH["F_atoms"].astype(float)) < R_OF_ATOMS


def test_anomalous_differences_against_cctbx(structure, sphere):
    """f' = -8 and f'' = 4.5 on selenium alone: F(h) and F(-h)."""
    mates = model.Sphere(-HKL, sphere.inverse_d2)
    plus, minus = (np.abs(model.of_atoms(structure, s, 2.4, {"Se": (-8.0, 4.5)})) for s in (sphere, mates))
    true = TRUTH["F_plus"].astype(float) - TRUTH["F_minus"]
    assert np.abs(true).mean() > 5.0
    assert np.abs((plus - minus) - true).sum() / np.abs(true).sum() < ANOMALOUS_DIFFERENCE


@pytest.mark.parametrize("spacing, name", [(0.6, "F_model_06"), (0.2, "F_model_02")])
def test_bulk_solvent_against_cctbx(spacing, name, structure, sphere, monkeypatch):
    """With the same radii, and grids of the same spacing."""
    monkeypatch.setattr(model, "SPACING_A", spacing)
    share, mask = model.of_solvent(structure, sphere)
    F = model.of_atoms(structure, sphere, 2.4, {}) + 0.35 * np.exp(-46.0 * sphere.inverse_d2 / 4.0) * mask
    assert 0.37 < share < 0.42 and R(np.abs(F), TRUTH[name].astype(float)) < R_OF_SOLVENT


def test_friedel_mates_differ_where_they_should(structure):
    plain = by_index(model.of_structure(structure, "x", 3.0, energy_eV=None, solvent=None, given={}))
    at_edge = model.of_structure(structure, "x", 3.0, energy_eV=12700.0, solvent=None, given={})
    anomalous = by_index(at_edge)
    assert max(abs(plain[h] - plain[tuple(-x for x in h)]) for h in plain) < 1e-2
    differ = np.array([abs(anomalous[h] - anomalous[tuple(-x for x in h)]) for h in anomalous])
    assert differ.mean() > 2.0 and "Friedel mates differ by" in " ".join(at_edge.story)
    assert max(abs(anomalous[h] - anomalous[(-h[0], -h[1], -h[2])]) for h in anomalous if h[2] == 0) < 1e-2  # centric


def test_all_reflections_to_a_resolution_are_there(structure):
    made = model.of_structure(structure, "x", 2.5, energy_eV=None, solvent=None, given={})
    unique = gemmi.make_miller_array(structure.cell, gemmi.SpaceGroup("P 1"), 2.5)
    there = set(map(tuple, made.hkl.tolist()))
    assert len(there) == len(made.hkl) == 2 * len(unique) and all(tuple(h) in there for h in unique.tolist())
    absent = [F for h, F in by_index(made).items() if h[:2] == (0, 0) and h[2] % 4]  # 4_3 along c
    assert absent and max(absent) < 0.05


def write_mtz(path, structure, rows, columns, group="P 43 21 2", cell=None):
    """An MTZ file of rows h k l values ...; ``columns`` are names with types."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(group)
    mtz.set_cell_for_all(cell or structure.cell)
    mtz.add_dataset("d")
    for name, kind in columns:
        mtz.add_column(name, kind)
    mtz.set_data(np.asarray(rows, np.float32))
    mtz.write_to_file(str(path))
    return str(path)


@pytest.fixture
def unique(structure):
    """One asymmetric unit to 3 A, and all of P1, without anomalous scattering."""
    whole = model.of_structure(structure, "x", 3.0, energy_eV=None, solvent=None, given={})
    group = structure.find_spacegroup()
    asu = gemmi.ReciprocalAsu(group)
    ops = group.operations()
    kept = [n for n, h in enumerate(whole.hkl.tolist()) if asu.is_in(h) and not ops.is_systematically_absent(h)]
    return whole.hkl[kept], whole.F[kept], by_index(whole)


def same_everywhere(found, true, absent=0.05):
    there = by_index(found)
    for index, F in there.items():
        assert abs(F - true[index]) <= max(2e-4 * F, 0.05), index
    assert max((F for index, F in true.items() if index not in there), default=0.0) < absent


def test_an_asymmetric_unit_becomes_p1(structure, unique, tmp_path):
    hkl, F, true = unique
    mtz = write_mtz(tmp_path / "a.mtz", structure, np.column_stack([hkl, F, F * 0.1]), [("FP", "F"), ("SIGFP", "Q")])
    found = amplitudes_of(mtz, Wanted())
    same_everywhere(found, true)
    assert found.cell == pytest.approx((41.98, 41.98, 88.92, 90, 90, 90), rel=1e-5) and "expanded to" in found.story[1]
    text = tmp_path / "a.hkl"
    text.write_text(
        "".join(f"{h} {k} {x} {f:.4f}  {f / 10:.3f}\n" for (h, k, x), f in zip(hkl.tolist(), F, strict=True))
    )
    same_everywhere(amplitudes_of(str(text), Wanted(symmetry="P43212")), true)
    assert len(amplitudes_of(str(text), Wanted()).hkl) == len(hkl)
    converted = gemmi.MtzToCif().write_cif_to_string(gemmi.read_mtz_file(mtz))
    (tmp_path / "a-sf.cif").write_text(converted)
    same_everywhere(amplitudes_of(str(tmp_path / "a-sf.cif"), Wanted()), true)


def test_intensities_mates_and_differences(structure, unique, tmp_path):
    hkl, F, _ = unique
    squares = np.column_stack([hkl, np.where(F > 20, F * F, -5.0), F])
    name = write_mtz(tmp_path / "i.mtz", structure, squares, [("IMEAN", "J"), ("SIGI", "Q")])
    found = by_index(amplitudes_of(name, Wanted()))
    assert all(found[h] == pytest.approx(f if f > 20 else 0.0, rel=1e-3, abs=0.01) for h, f in
               zip(map(tuple, hkl.tolist()), F, strict=True))  # fmt: skip
    pair = [("F(+)", "G"), ("SIGF(+)", "L"), ("F(-)", "G"), ("SIGF(-)", "L")]
    rows = np.column_stack([hkl, F + 3, F, F - 3, F])
    rows[0, 5] = np.nan
    found = by_index(amplitudes_of(write_mtz(tmp_path / "g.mtz", structure, rows, pair), Wanted()))
    for index, f in list(zip(map(tuple, hkl.tolist()), F, strict=True))[1:50]:
        assert found[index] == pytest.approx(
            f + 3, rel=1e-4
        ) or structure.find_spacegroup().operations().is_reflection_centric(index)
    assert found[tuple((-hkl[0]).tolist())] == pytest.approx(F[0] + 3, rel=1e-4)  # the other stands for it
    both = [("F", "F"), ("SIGF", "Q"), ("DANO", "D"), ("SIGDANO", "Q"), ("FC", "F")]
    rows = np.column_stack([hkl, F, F, np.full(len(F), 4.0), F, 2 * F])
    name = write_mtz(tmp_path / "d.mtz", structure, rows, both)
    one = next(h for h in hkl.tolist() if not structure.find_spacegroup().operations().is_reflection_centric(h))
    place = hkl.tolist().index(one)
    assert by_index(amplitudes_of(name, Wanted()))[tuple(one)] == pytest.approx(F[place] + 2, rel=1e-4)
    chosen = by_index(amplitudes_of(name, Wanted(labels=("FC",))))
    assert chosen[tuple(one)] == pytest.approx(2 * F[place], rel=1e-4)


def test_symmetry_of_the_density_is_that_of_the_file(structure):
    """The list expanded equals the calculation, for every operation of the group."""
    made = by_index(model.of_structure(structure, "x", 3.5, energy_eV=None, solvent=model.Solvent(), given={}))
    rotations = [np.array(op.rot) // op.DEN for op in structure.find_spacegroup().operations().sym_ops]
    for index in list(made)[::37]:
        for rotation in rotations:
            assert made[tuple((np.array(index) @ rotation).tolist())] == pytest.approx(made[index], rel=1e-3, abs=0.05)


def test_a_structure_in_one_line_of_the_command(tmp_path, capsys):
    line = f"--structure {PDB} -distance 100 -detpixels 64 -pixel 2 -lambda 0.9793 -N 3 -oversample 1 -nonoise -nopgm"
    with working_in(tmp_path):
        assert main([*line.split(), "--anomalous", "Se=-8,4.5", "--backend", "cref"]) == 0
    out, err = capsys.readouterr()
    assert "Unit Cell: 41.98 41.98 88.92 90 90 90" in out and "Se (f' -8.00, f'' 4.50)" in err
    assert "bulk solvent in" in err and not (tmp_path / "Fdump.bin").exists()
    image = nb.read_image(tmp_path / "floatimage.bin")
    written = tmp_path / "P1.hkl"
    again = f"-hkl {written} -cell 41.98 41.98 88.92 90 90 90 " + line.split(" ", 2)[2] + " -floatfile again.bin"
    assert (
        nb_hkl(
            [str(PDB), "-o", str(written), "--resolution", "0.9", "--wavelength", "0.9793", "--anomalous", "Se=-8,4.5"]
        )
        == 0
    )
    with working_in(tmp_path):
        assert main([*again.split(), "--backend", "cref"]) == 0
    by_file = nb.read_image(tmp_path / "again.bin")
    assert np.abs(image - by_file).max() < 1e-3 * image.max() and image.max() > 0


def test_the_same_from_python_and_kept_for_the_next_time(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LEAST_TO_KEEP", 10)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    first = nb.structure_factors_from(PDB, wavelength_A=1.0, d_min_A=3.0)
    assert len(list(tmp_path.rglob("amplitudes/*.npz"))) == 1
    monkeypatch.setattr(model, "of_structure", None)  # what is kept is read
    again = nb.structure_factors_from(PDB, wavelength_A=1.0, d_min_A=3.0)
    assert np.array_equal(first.table, again.table) and nb.cell_of(PDB)[2] == 88.92
    (kept,) = tmp_path.rglob("amplitudes/*.npz")
    whole = kept.read_bytes()
    monkeypatch.undo()
    for damaged in (whole[:-5], whole[: len(whole) // 2], b"", b"damaged"):
        kept.write_bytes(damaged)
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
        assert np.array_equal(nb.structure_factors_from(PDB, wavelength_A=1.0, d_min_A=3.0).table, first.table)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert np.array_equal(nb.structure_factors_from(PDB, wavelength_A=1.0, d_min_A=3.0).table, first.table)


def test_compressed_files_and_mmcif(structure, tmp_path):
    packed = tmp_path / "a.pdb.gz"
    packed.write_bytes(gzip.compress(PDB.read_bytes()))
    cif = tmp_path / "a.cif"
    structure.make_mmcif_document().write_file(str(cif))
    made = [amplitudes_of(str(name), Wanted(d_min_A=3.5)) for name in (PDB, packed, cif)]
    for other in made[1:]:
        assert R(other.F, made[0].F) < 1e-4


def pdb(**changes):
    """The example with some of its lines changed: name -> (old, new)."""
    text = PDB.read_text()
    for old, new in changes.values():
        text = text.replace(old, new)
    return text.encode()


SE_ATOM = "SE   MSE A 151"
WRONG = {
    "no cell": ("a.pdb", lambda: pdb(cell=("CRYST1", "REMARK")), "has no unit cell"),
    "unknown element": ("a.pdb", lambda: pdb(x=("          SE  ", "           X  ")), "has no form factor"),
    "no atoms": ("a.pdb", lambda: b"CRYST1   41.980   41.980   88.920  90.00  90.00  90.00 P 43 21 2     8\nEND\n", "has no atoms"),
    "no group": ("a.pdb", lambda: pdb(x=("P 43 21 2 ", "P 99 21 2 ")), "is no space group"),
    "empty": ("a.pdb", lambda: b"", "is empty"),
    "not text": ("a.pdb", lambda: np.random.default_rng(1).bytes(5000), ""),
    "truncated cif": ("a.cif", lambda: b"data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1", ""),
    "bad coordinate": ("a.pdb", lambda: pdb(x=("  19.594  32.367", "     nan  32.367")), ""),
    "no mtz": ("a.mtz", lambda: b"MTZ " + bytes(3000), ""),
    "short mtz": ("a.mtz", lambda: b"MTZ ", ""),
    "text": ("a.hkl", lambda: b"h k l F\n", "does not begin with h k l"),
    "half a text": ("a.hkl", lambda: b"1 2 3 4\n1 2\n", "line 2 does not begin"),
    "huge index": ("a.hkl", lambda: b"1 2 99999999999 4\n", "does not fit 32 bits"),
    "cif without data": ("a.cif", lambda: b"data_x\n_cell.length_a 5\n", ""),
    "gz cut short": ("a.pdb.gz", lambda: gzip.compress(PDB.read_bytes())[:9000], "is cut short or damaged"),
    "stars": ("a.pdb", lambda: pdb(x=("  19.594  32.367", "******** 32.367")), "a coordinate is ***"),
    "gz of nothing": ("a.pdb.gz", lambda: b"\x1f\x8b rubbish", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_files_gone_wrong_end_in_one_line(what, tmp_path, capsys):
    name, content, says = WRONG[what]
    path = tmp_path / name
    path.write_bytes(content())
    with working_in(tmp_path):
        assert nb_hkl([str(path), "--resolution", "3"]) == 2
        err = capsys.readouterr().err.splitlines()
        assert len(err) == 1 and str(path) in err[0] and says in err[0] and "unexpected" not in err[0]
        assert not (tmp_path / "P1.hkl").exists()
        line = f"--structure {path} -cell 50 60 70 90 90 90 -detpixels 8 -pixel 5 -nonoise"
        assert main(line.split()) in (1, 9)
    (last,) = [text for text in capsys.readouterr().err.splitlines() if str(path) in text]
    assert "Traceback" not in last and "unexpected" not in last


def test_lists_without_amplitudes_and_wrong_labels(structure, tmp_path):
    phases = write_mtz(tmp_path / "p.mtz", structure, [[1, 2, 3, 50.0]], [("PHI", "P")])
    with pytest.raises(BadInput, match="no amplitudes or intensities are in its columns"):
        amplitudes_of(phases, Wanted())
    good = write_mtz(tmp_path / "f.mtz", structure, [[1, 2, 3, 50.0]], [("F", "F")])
    with pytest.raises(BadInput, match=r"has no column FOO \(there are F\)"):
        amplitudes_of(good, Wanted(labels=("FOO",)))
    nothing = write_mtz(tmp_path / "n.mtz", structure, [[1, 2, 3, np.nan]], [("F", "F")])
    with pytest.raises(BadInput, match="no reflection has an amplitude"):
        amplitudes_of(nothing, Wanted())
    with pytest.raises(BadInput, match="Q 1: is no space group"):
        amplitudes_of(good, Wanted(symmetry="Q 1"))
    with pytest.raises(BadInput, match="is a structure"):
        amplitudes_of(str(PDB), Wanted(d_min_A=3.0, labels=("F",)))
    for d_min in (None, 0.01, np.nan):
        with pytest.raises(BadInput, match=r"d_min_A|a resolution of"):
            amplitudes_of(str(PDB), Wanted(d_min_A=d_min))


@pytest.mark.parametrize("value, says", {
    "Xx=1,2": "is no element", "Fe=1,2": "there is none of it", "Se=1": "give f',f''", "Se=none.txt": "No such file",
    "Se": "not ELEMENT", "=1,2": "not ELEMENT",
}.items())  # fmt: skip
def test_anomalous_scattering_gone_wrong(value, says, tmp_path, capsys):
    with working_in(tmp_path):
        assert nb_hkl([str(PDB), "--resolution", "4", "--energy", "12000", "--anomalous", value]) == 2
    assert says in capsys.readouterr().err


def test_a_table_of_anomalous_scattering(tmp_path):
    table = tmp_path / "se.txt"
    table.write_text("# eV f' f''\n12600 -8 0.5\n12700 -6 3.5\n")
    wanted = Wanted(d_min_A=4.0, wavelength_A=12398.42 / 12650, anomalous=(("Se", str(table)),))
    assert "Se (f' -7.00, f'' 2.00)" in " ".join(amplitudes_of(str(PDB), wanted).story)
    with pytest.raises(BadInput, match="goes from 12600 to 12700 eV"):
        amplitudes_of(str(PDB), Wanted(d_min_A=4.0, wavelength_A=1.0, anomalous=(("Se", str(table)),)))


def test_nb_hkl_says_how_well_a_model_explains_data(structure, unique, tmp_path, capsys):
    hkl, F, _ = unique
    rows = np.column_stack([hkl, 3.0 * F * np.exp(-10.0 * structure.cell.calculate_1_d2_array(hkl) / 4.0)])
    data = write_mtz(tmp_path / "o.mtz", structure, rows, [("FP", "F")])
    with working_in(tmp_path):
        assert nb_hkl([str(PDB), "--resolution", "3", "--solvent", "none", "--against", data]) == 0
    err = capsys.readouterr().err
    found, B = (float(err.split(word)[1].split()[0]) for word in ("nb-hkl: R ", ", B "))
    assert found < 0.02 and pytest.approx(10, abs=0.5) == B


def test_hkl_that_is_a_structure_says_what_to_take(structure, tmp_path, capsys):
    mtz = write_mtz(tmp_path / "a.mtz", structure, [[1, 2, 3, 50.0]], [("F", "F")])
    for name in (str(PDB), mtz):
        with working_in(tmp_path):
            assert main(["-hkl", name, *"-cell 50 60 70 90 90 90 -detpixels 8 --backend cref".split()]) == 9
        assert f"-hkl {name}: is no hkl text: take --structure {name}" in capsys.readouterr().err


def test_structure_options_belong_to_a_structure(tmp_path, capsys):
    with working_in(tmp_path):
        assert main("-cell 50 60 70 90 90 90 -default_F 5 --solvent none -detpixels 8".split()) == 1
        assert "belong to --structure" in capsys.readouterr().err
        assert main(["--structure", str(PDB), *"-hkl x.hkl -detpixels 8".split()]) == 1
        assert "take one" in capsys.readouterr().err
        assert main(["--structure", str(PDB), "-detpixels", "8", "-floatfile", str(PDB)]) == 1
        assert "is the file that --structure reads" in capsys.readouterr().err and same_file(str(PDB), str(PDB))


def test_a_list_that_is_complete_says_how_far(structure, unique):
    hkl, F, _ = unique
    chosen = lists.Chosen(hkl, F, "F", mates=False)
    cell = tuple(structure.cell.parameters)
    said = " ".join(lists.expanded(chosen, structure.find_spacegroup(), cell, "x").story)
    assert "reaches 3" in said
    some = lists.Chosen(hkl[::2], F[::2], "F", mates=False)
    share = float(
        " ".join(lists.expanded(some, structure.find_spacegroup(), cell, "x").story).split("A, ")[1].split("%")[0]
    )
    assert 45 < share < 55


@pytest.mark.parametrize("where", [
    "-distance 100", "-distance 100 -twotheta 60", "-distance 50 -twotheta 150 -detector_rotx 5", "-distance -100",
    "-xds -distance 80 -detector_roty 40", "-distance 60 -detsize 400 -detector_rotz 20 -curved_det 1",
])  # fmt: skip
def test_amplitudes_reach_as_far_as_the_detector_sees(where):
    from nanobragg.cli.tools.plans import set_up_of_line, silent
    from nanobragg.engine.factors.reach import finest_d
    from nanobragg.engine.placed import of_scene

    scene = set_up_of_line(
        f"-cell 50 60 70 90 90 90 -default_F 10 -detpixels 120 -pixel 2 -lambda 1 {where}".split(), silent
    ).scene
    found = finest_d(scene.detector, scene.crystal, scene.beam)
    if scene.detector.curved:
        assert 0.45 < found < 0.5
        return
    slow, fast = np.meshgrid(np.arange(121), np.arange(121))
    finest = np.nanmin(of_scene(scene).resolution(slow, fast))
    assert found == pytest.approx(1.0 / (1.02 / finest + 2.0 / 50.0), rel=1e-3)


def test_resolution_ends_where_dmin_does(tmp_path, capsys):
    line = f"--structure {PDB} -lambda 0.3 -distance 50 -detpixels 40 -pixel 5 -dmin 2 -nonoise -nopgm --backend cref"
    with working_in(tmp_path):
        assert main(line.split()) == 0
    assert "reflections in P1 to 1.9" in capsys.readouterr().err


def test_unmerged_lists_and_columns_of_others(structure, unique, tmp_path):
    hkl, F, _ = unique
    unmerged = write_mtz(
        tmp_path / "u.mtz", structure, [[1, 2, 3, 1, 5, 50.0]], [("M/ISYM", "Y"), ("BATCH", "B"), ("I", "J")]
    )
    with pytest.raises(BadInput, match="unmerged"):
        amplitudes_of(unmerged, Wanted())
    columns = [("FC_ALL", "F"), ("FP", "F"), ("SIGFP", "Q"), ("FPH", "F"), ("SIGFPH", "Q"), ("DPH", "D")]
    rows = np.column_stack([hkl, 9 * F, F, F, 2 * F, F, np.full(len(F), 8.0)])
    found = by_index(amplitudes_of(write_mtz(tmp_path / "m.mtz", structure, rows, columns), Wanted()))
    one = tuple(hkl[5].tolist())
    assert found[one] == pytest.approx(F[5], rel=1e-3)  # neither calculated ones, nor another crystal's difference
    columns = [("F-obs(-)", "G"), ("F-obs(+)", "G")]
    rows = np.column_stack([hkl, F - 3, F + 3])
    found = by_index(amplitudes_of(write_mtz(tmp_path / "s.mtz", structure, rows, columns), Wanted()))
    one = next(h for h in hkl.tolist() if not structure.find_spacegroup().operations().is_reflection_centric(h))
    assert found[tuple(one)] == pytest.approx(F[hkl.tolist().index(one)] + 3, rel=1e-3)


def test_no_output_takes_the_place_of_an_input(structure, tmp_path, capsys):
    data = write_mtz(tmp_path / "o.mtz", structure, [[1, 2, 3, 50.0]], [("FP", "F")])
    before = (tmp_path / "o.mtz").read_bytes()
    assert nb_hkl([str(PDB), "--resolution", "4", "--against", data, "-o", data]) == 2
    assert "is a file that is read" in capsys.readouterr().err and (tmp_path / "o.mtz").read_bytes() == before
    assert nb_hkl([data, "--energy", "12000", "-o", str(tmp_path / "x.hkl")]) == 2
    assert "--energy: of structures" in capsys.readouterr().err and not (tmp_path / "x.hkl").exists()
    for energy in ("1e300", "10"):
        assert nb_hkl([str(PDB), "--resolution", "4", "--energy", energy, "-o", str(tmp_path / "x.hkl")]) == 2
        assert "is known from 3000 to 200000 eV" in capsys.readouterr().err


def test_what_does_not_go_together_is_said(structure, tmp_path, capsys):
    plain = "-detpixels 32 -pixel 4 -distance 150 -lambda 1 -N 3 -oversample 1 -nonoise -nopgm --backend cref"
    with working_in(tmp_path):
        assert main(["--structure", str(PDB), "-cell", "40", "50", "60", "90", "90", "90", *plain.split()]) == 0
        assert "the cell that is simulated is another one" in capsys.readouterr().err
        wrong = tmp_path / "wrong.pdb"
        wrong.write_bytes(
            pdb(
                x=(
                    "   41.980   41.980   88.920  90.00  90.00  90.00",
                    "   42.000   50.000   88.920  90.00  90.00 100.00",
                )
            )
        )
        assert main(["--structure", str(wrong), *plain.split()]) == 0
        assert "does not have the symmetry of P 43 21 2" in capsys.readouterr().err
        assert (
            main(["--structure", str(PDB), *plain.split(), "-curved_det", "1", "--output", "x.h5", "--output", "x.npy"])
            == 1
        )
        assert "no words for a curved detector" in capsys.readouterr().err and not (tmp_path / "x.npy").exists()
    huge = write_mtz(tmp_path / "huge.mtz", structure, [[1, 2, 3, 50.0], [20000, 3, 30000, 5.0]], [("F", "F")])
    with pytest.raises(BadInput, match=r"the index .* makes a table of"):
        amplitudes_of(huge, Wanted())
    with pytest.raises(BadInput, match="solvent and anomalous scattering are of structures"):
        amplitudes_of(huge, Wanted(solvent=None))
    noname = tmp_path / "noname"
    structure.make_mmcif_document().write_file(str(noname))
    assert len(amplitudes_of(str(noname), Wanted(d_min_A=5.0)).hkl) > 100


def test_the_direct_beams_amplitude_only_where_it_is_asked_for(structure, tmp_path, capsys):
    """All electrons of the cell: cctbx has 35712.382 for the atoms."""
    plain = nb.structure_factors_from(PDB, d_min_A=4.0, solvent=None)
    with_beam = nb.structure_factors_from(PDB, d_min_A=4.0, solvent=None, F000=True)
    middle = tuple(-plain.bounds[:, 0])
    assert plain.table[middle] == 0.0 and with_beam.table[middle] == pytest.approx(35712.382, rel=1e-4)
    assert np.array_equal(np.delete(plain.table.ravel(), np.ravel_multi_index(middle, plain.table.shape)),
                          np.delete(with_beam.table.ravel(), np.ravel_multi_index(middle, plain.table.shape)))  # fmt: skip
    text = tmp_path / "a.hkl"
    text.write_text("0 0 0 99\n1 0 0 5\n")
    assert (
        len(amplitudes_of(str(text), Wanted()).hkl) == 1 and len(amplitudes_of(str(text), Wanted(F000=True)).hkl) == 2
    )
    text.write_text("0 0 0 99\n")
    with pytest.raises(BadInput, match="0 0 0 is alone"):
        amplitudes_of(str(text), Wanted())
    line = f"--structure {PDB} -lambda 1 -distance 100 -detpixels 21 -pixel 1 -N 5 -oversample 1 -nonoise -nopgm --backend cref"
    for more, dark in (([], True), (["--F000"], False)):
        with working_in(tmp_path):
            assert main([*line.split(), *more]) == 0
        image = nb.read_image(tmp_path / "floatimage.bin")
        if dark:
            without = image.max()
    assert image.max() > 10 * without
