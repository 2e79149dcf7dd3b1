"""The model: worked out as the command does with --fix all, refused in one line, and the same after a way through JSON."""

import json

import numpy as np
import pytest

import nanobragg as nb
from nanobragg.engine.original.quirks import fixes_of
from nanobragg.engine.plan import plan_of
from nanobragg.kernels.plan import RenderPlan
from tests.support import INPUT_FOLDERS, ROOT, assert_same_image, frozen
from tests.test_fixes import fixed
from tests.tolerances import SET_UP

CELL = (50, 60, 70, 80, 85, 95)
LINE = "-cell 50 60 70 80 85 95 -Na 4 -Nb 5 -Nc 6 -default_F 9 -detpixels_x 30 -detpixels_y 20 -pixel 1 -distance 90 "
FLAT = nb.constant(9.0)


def experiment(crystal=None, detector=None, **parts) -> nb.Experiment:
    """The experiment of `LINE`, with other values of some fields of crystal and detector, or other parts."""
    return nb.Experiment(
        nb.Crystal(**({"cell": CELL, "N": (4, 5, 6)} | (crystal or {}))),
        nb.Detector(**({"shape": (20, 30), "pixel_mm": 1.0, "distance_mm": 90} | (detector or {}))),
        FLAT, **({"sampling": nb.Sampling(oversample=1)} | parts),
    )  # fmt: skip


SAME = {  # flags, and the experiment that they mean
    "misset": ("-misset 10 20 30", experiment({"misset_deg": (10, 20, 30)})),
    "mosaic": ("-mosaic 0.5 -mosaic_domains 7 -mosaic_seed 3", experiment(
        {"mosaic_deg": 0.5, "mosaic_domains": 7, "mosaic_seed": 3})),
    "round": ("-round_xtal -fudge 1.2", experiment({"shape": "round", "fudge": 1.2})),
    "gauss": ("-gauss_xtal -fudge 0.5", experiment({"shape": "gauss", "fudge": 0.5})),
    "gauss, round in space": ("-gauss_xtal --shape gauss_round", experiment({"shape": "gauss_round"})),
    "tophat": ("-tophat_spots", experiment({"shape": "tophat"})),
    "water": ("-water 30", experiment({"water_um": 30})),
    "wavelength and polarization": ("-lambda 1.1 -polar 0.9 -fluence 1e26", experiment(
        beam=nb.Beam(wavelength_A=1.1, polarization=0.9, fluence=1e26))),
    "energy and flux": ("-energy 9000 -flux 1e12 -exposure 0.1 -beamsize 0.2 -nopolar", experiment(
        beam=nb.Beam(energy_eV=9000, flux=1e12, exposure_s=0.1, beamsize_mm=0.2, polarization=None))),
    "divergence and dispersion": (
        "-hdivrange 2 -hdivsteps 3 -vdivrange 1 -vdivsteps 2 -dispersion 1 -dispsteps 4", experiment(
        beam=nb.Beam(divergence_mrad=(2, 1), divergence_steps=(3, 2), dispersion_percent=1, dispersion_steps=4))),
    "scan": ("-phi 5 -osc 2 -phisteps 4", experiment(scan=nb.Scan(5, 2, 4))),
    "one phi": ("-phi 5", experiment(scan=nb.Scan(5))),
    "sub-pixels": ("-oversample 3", experiment(sampling=nb.Sampling(oversample=3))),
    "sub-pixels by themselves": ("-oversample -1", experiment(sampling=nb.Sampling())),
    "roi and resolution": ("-roi 3 20 4 15 -dmin 3", experiment(
        sampling=nb.Sampling(oversample=1, roi=(3, 20, 4, 15), dmin_A=3))),
    "sensor": ("-detector_thick 400 -detector_abs 300 -detector_thicksteps 3", experiment(
        detector={"thickness_um": 400, "attenuation_um": 300, "layers": 3})),
    "curved": ("-curved_det -oversample 1", experiment(detector={"curved": True})),
    "point pixels": ("-point_pixel", experiment(detector={"point_pixel": True})),
    "tilted": ("-detector_rotx 3 -detector_roty 4 -detector_rotz 5 -twotheta 6", experiment(
        detector={"tilt_deg": (3, 4, 5), "twotheta_deg": 6})),
    **{f"{name}, beam centre": (f"{flag} -Xbeam 7 -Ybeam 8", experiment(
        detector={"convention": name, "beam_center_mm": (7, 8)}))
       for name, flag in (("MOSFLM", "-mosflm"), ("ADXV", "-adxv"), ("DENZO", "-denzo"))},
    "XDS, origin": ("-xds -ORGX 7 -ORGY 8", experiment(detector={"convention": "XDS", "beam_center_mm": (7, 8)})),
    "DIALS": ("-dials", experiment(detector={"convention": "DIALS"})),
    "by vectors": ("-mosflm", experiment(
        detector={"fast": (0, 0, 1), "slow": (0, -1, 0), "origin_mm": (90, 11.0, -16.0)})),
}  # fmt: skip


def differences(ours: RenderPlan, theirs: RenderPlan) -> list[str]:
    """Fields of two plans that differ by more than the last digits; what no sensor absorbs is no matter."""
    found = []
    if not theirs.sensor.thickness:
        theirs = theirs.changed(mu=ours.sensor.mu)
    for name, group in ours._asdict().items():
        for field, a in group._asdict().items():
            b = getattr(getattr(theirs, name), field)
            if np.shape(a) != np.shape(b) or not np.allclose(
                a, b, rtol=SET_UP, atol=SET_UP * np.max(np.abs(b), initial=0)
            ):
                found.append(f"{name}.{field}: {a} against {b}")
    return found


@pytest.mark.parametrize("name", SAME)
def test_a_model_is_what_the_command_computes_right(name, tmp_path, monkeypatch):
    """Two ways to work out the same: the model's own, and the original's set-up with every oddity fixed."""
    monkeypatch.chdir(tmp_path)
    flags, described = SAME[name]
    words = [*LINE.split(), "-lambda", "1", "-oversample", "1", *flags.split()]
    theirs, ours = frozen(fixed(words, fixes_of("all"), tmp_path)), plan_of(nb.scene(described))
    assert not differences(ours, theirs)


def test_the_comparison_can_fail():
    ours, theirs = (plan_of(nb.scene(experiment(detector={"distance_mm": d}))) for d in (90, 90.0000001))
    assert any(line.startswith("panels.distance") for line in differences(ours, theirs))


JSON = [described for _, described in SAME.values()] + [
    experiment(beam=nb.Beam(spectrum=nb.Spectrum([1.0, 1.1], [2, 3]))),
    experiment(crystal={"cell": None, "reciprocal": np.diag([0.02, 0.03, 0.04])}),
    experiment(detector={"shape": None, "pixel_mm": 0.1, "model": "Eiger2 1M"}),
    experiment(backgrounds=(nb.Water(5.0), nb.Water(6.0))),
]


@pytest.mark.parametrize("described", JSON)
def test_json_and_back(described):
    """What amplitudes were given is not in it: they come from a file or are one number."""
    tables = described.to_json() | {"factors": {"default_F": 9.0}}
    again = nb.Experiment.of_json(json.loads(json.dumps(tables)))
    assert (again.crystal, again.detector, again.beam) == (described.crystal, described.detector, described.beam)
    assert (again.scan, again.sampling, again.backgrounds) == (
        described.scan, described.sampling, described.backgrounds
    )  # fmt: skip
    assert not differences(plan_of(nb.scene(again)), plan_of(nb.scene(described)))
    assert json.loads(json.dumps(again.to_json())) == json.loads(json.dumps(tables))


WRONG = {
    "a table": ({"cristal": {}}, "experiment: cristal: no such name (did you mean crystal?)"),
    "a field": ({"beam": {"wavelenght_A": 1}}, "[beam]: wavelenght_A: no such name (did you mean wavelength_A?)"),
    "nothing near": ({"beam": {"zzz": 1}}, "zzz: no such name (there are wavelength_A, energy_eV"),
    "missing": ({"crystal": None}, "[crystal] is missing"),
    "no table": ({"scan": 3}, "[scan]: must be a table"),
    "a value": ({"scan": {"range_deg": "wide"}}, "Scan: range_deg: must be a finite number, 0 or more, not 'wide'"),
    "a background": ({"background": {"kind": "water"}}, "[[background]]: must be a list of tables, not dict"),
    "a kind": ({"background": [{"kind": "smoke"}]}, "kind = 'smoke': must be one of water"),
    "a field of a background": (
        {"background": [{"kind": "water", "edge": 3}]},
        "edge: no such name (did you mean edge_um?)",
    ),
    "amplitudes twice": ({"factors": {"structure": "a.pdb", "hkl": "b.hkl"}}, "both give amplitudes"),
    "no amplitudes": ({"factors": {}}, "there are no amplitudes"),
    "solvent of a list of F": ({"factors": {"hkl": "a.hkl", "solvent": False}}, "solvent: belong to structure"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_model_has(name):
    tables = {
        "crystal": {"cell": CELL}, "detector": {"shape": [20, 30]}, "factors": {"default_F": 9.0}, **WRONG[name][0],
    }  # fmt: skip
    with pytest.raises(nb.BadInput) as refused:
        nb.Experiment.of_json({key: value for key, value in tables.items() if value is not None})
    assert WRONG[name][1] in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_no_experiment():
    """One line, whatever is given."""
    for call, said in (
        (lambda: nb.scene(None), "experiment: must be an Experiment, not NoneType"),
        (lambda: nb.render_experiment(5), "experiment: must be an Experiment, not int"),
        (lambda: nb.render_experiment(experiment(), threads="2"), "threads: must be a whole number"),
        (lambda: nb.Experiment.of_json(None), "experiment: must be tables by their names"),
        (lambda: experiment(backgrounds=nb.Water(5)), "backgrounds: must be a list of backgrounds"),
        (lambda: experiment(backgrounds=(5,)), "backgrounds: each: must be a background"),
        (lambda: experiment(mask=[[1, 2], [3]]), "mask: must be an array"),
        (lambda: experiment({"N": [[5], [5], [5]]}), "Crystal: N: must be 3 whole numbers"),
        (lambda: experiment({"mosaic_deg": [1]}), "Crystal: mosaic_deg: must be a finite number"),
        (lambda: nb.Spectrum([1, [2]], [1, 1]), "Spectrum: wavelengths_A: must be a list of finite numbers"),
        (lambda: nb.Spectrum([1.0, 1.1], [1]), "Spectrum: weights: must be as many"),
        (lambda: nb.FactorsFrom(structure="a.pdb", anomalous={"Se": 5}), "anomalous: Se: must be 2 finite numbers"),
        (lambda: experiment({"cell": (1e-200, 50, 60, 90, 90, 90)}), "an edge of 1e-200 A"),
        (lambda: nb.FactorsFrom(hkl="a\0b"), "factors: hkl: .* is no name"),
        (lambda: nb.FactorsFrom(structure=""), "factors: structure: '' is no name"),
        (lambda: nb.Sampling(roi=[[1, 2], [3, 4]]), "roi of panel 0: must be 4 whole numbers"),
    ):
        with pytest.raises(nb.BadInput, match=said):
            call()


def test_backgrounds_add_up():
    """Each by the formula: electrons squared of a molecule times their number, times solid angle and fluence."""
    dark = nb.constant(0.0)

    def image(*waters: float, of_crystal: float = 0.0) -> np.ndarray:
        described = nb.Experiment(
            nb.Crystal(cell=CELL, water_um=of_crystal), nb.Detector((4, 6), distance_mm=90), dark,
            nb.Beam(polarization=None, fluence=1e26), backgrounds=tuple(map(nb.Water, waters)),
        )  # fmt: skip
        return nb.render_experiment(described, backend="strict").image.astype(float)

    assert_same_image(image(7.0), image(of_crystal=7.0))
    np.testing.assert_allclose(image(3.0, 5.0, of_crystal=7.0), image(3.0) + image(5.0) + image(7.0), rtol=3e-7)
    fast, slow = np.meshgrid(np.arange(6) - 2.5, np.arange(4) - 1.5)
    distance = np.sqrt((0.1 * fast) ** 2 + (0.1 * slow) ** 2 + 90.0**2)
    molecules = (7e-6) ** 3 * 1e6 / 18.0 * 6.02214179e23
    expected = 2.57**2 * molecules * 7.94079248018965e-30 * 1e26 * 0.1**2 * 90.0 / distance**3
    np.testing.assert_allclose(image(7.0), expected, rtol=3e-5)  # the beam's spot is half a pixel off the middle


def test_the_original_has_no_words_for_all_models():
    for described, said in (
        (experiment(backgrounds=(nb.Water(3.0),)), "the water of a Crystal alone"),
        (SAME["by vectors"][1], "cannot place a panel so"),
    ):
        with pytest.raises(nb.BadInput, match=said):
            nb.scene(described, quirks="c")


def test_factors_of_a_file(tmp_path):
    """A file that a model names is what is read of it by hand."""
    inputs = INPUT_FOLDERS[0]
    by_name = nb.FactorsFrom(hkl=str(inputs / "triclinic.hkl"))
    read = nb.read_structure_factors(inputs / "triclinic.hkl")
    images = [
        nb.render_experiment(
            nb.Experiment(nb.Crystal(cell=CELL, N=(4, 5, 6)), nb.Detector((20, 30), 1.0, 90), factors)
        ).image
        for factors in (by_name, read)
    ]
    assert_same_image(*images)
    structure = nb.FactorsFrom(structure=str(ROOT / "examples" / "1a8o.pdb"), d_min_A=3.0)
    cell = nb.cell_of(ROOT / "examples" / "1a8o.pdb")
    made = nb.scene(nb.Experiment(nb.Crystal(cell=cell), nb.Detector((20, 30), 1.0, 90), structure)).factors
    expected = nb.structure_factors_from(ROOT / "examples" / "1a8o.pdb", d_min_A=3.0, wavelength_A=1.0)
    np.testing.assert_array_equal(made.table, expected.table)
    for wrong, said in ((nb.FactorsFrom(hkl=str(tmp_path / "none.hkl")), "none.hkl: No such file"),
                        (nb.FactorsFrom(structure=str(tmp_path / "none.pdb")), "none.pdb: No such file")):  # fmt: skip
        with pytest.raises(nb.BadInput, match=said):
            nb.scene(nb.Experiment(nb.Crystal(cell=CELL), nb.Detector((20, 30), 1.0, 90), wrong))
