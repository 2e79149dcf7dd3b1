"""Crystals beyond the original: domains of several kinds, several lattices, dose; and fields that are drawn."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

import nanobragg as nb
from nanobragg.engine.batch.job.axes import axis_of
from nanobragg.engine.model.experiment import Experiment
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import render
from tests.support import assert_close_image

CRYSTAL = nb.Crystal(cell=(50, 60, 70, 80, 95, 100), N=(6, 6, 6), misset_deg=(5, 10, 15))
DETECTOR = nb.Detector(shape=(60, 50), pixel_mm=1.0, distance_mm=90)
FLAT, BEAM = nb.constant(10.0), nb.Beam(wavelength_A=1.0, fluence=1e25)
ONE = nb.Sampling(oversample=1)


def scene_of(crystal, factors=FLAT, **fields):
    return nb.scene(Experiment(crystal, DETECTOR, factors, BEAM, sampling=ONE, **fields))


def image_of(crystal, factors=FLAT, backend="fast", **fields):
    e = Experiment(crystal, DETECTOR, factors, BEAM, sampling=ONE, **fields)
    return nb.render_experiment(e, backend=backend).image


def angles_of(rotations):
    """Rotation vectors of matrices, radians."""
    found = []
    for m in rotations.reshape(-1, 3, 3):
        angle = math.acos(max(-1.0, min(1.0, (np.trace(m) - 1.0) / 2.0)))
        axis = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
        length = np.linalg.norm(axis)
        found.append(angle * axis / length if length > 0.0 else np.zeros(3))
    return np.array(found)


def test_anisotropic_mosaicity_has_its_widths():
    """Turns about axes near each of the three have its standard deviation; between them as the formula has it."""
    widths = (0.8, 0.1, 0.4)
    crystal = dataclasses.replace(CRYSTAL, mosaic_axes_deg=widths, mosaic_domains=6000)
    scene = scene_of(crystal)
    recip = np.array(scene.crystal.recip)
    x = recip[0] / np.linalg.norm(recip[0])
    z = np.cross(recip[0], recip[1])
    z /= np.linalg.norm(z)
    turns = np.degrees(angles_of(scene.crystal.rotations)[1:]) @ np.array([x, np.cross(z, x), z]).T
    size = np.linalg.norm(turns, axis=1)
    axis = turns / size[:, None]
    eta = 1.0 / np.sqrt(((axis / widths) ** 2).sum(axis=1))
    assert stats.kstest(size / eta, stats.halfnorm.cdf).pvalue > 1e-3
    assert stats.kstest(np.abs(axis[:, 2]), "uniform").pvalue > 1e-3  # axes are drawn evenly
    along = [size[np.abs(axis[:, k]) > 0.97] for k in range(3)]
    assert [math.sqrt((a**2).mean()) for a in along] == pytest.approx(widths, rel=0.25)
    assert np.allclose(scene.crystal.rotations[0], np.eye(3).ravel())


@pytest.mark.parametrize("backend", ["fast", "strict", "cref"])
def test_domains_have_cells_of_their_own(backend):
    """The image is that of crystals with those cells and turns, one for each domain, by a brute-force sum."""
    spread = (1.5, 0.5, 1.0)
    crystal = dataclasses.replace(CRYSTAL, cell_spread_percent=spread, mosaic_deg=0.5, mosaic_domains=5)
    scene = scene_of(crystal)
    whole = render(plan_of(scene), backend).image.astype(float)
    parts = np.zeros(whole.shape)
    for rotation, scales in zip(scene.crystal.rotations, scene.crystal.domain_scales, strict=True):
        real = np.array(scene.crystal.real_A) @ rotation.reshape(3, 3).T * scales[:, None]
        alone = dataclasses.replace(CRYSTAL, cell=None, reciprocal=np.linalg.inv(real).T, misset_deg=(0, 0, 0))
        parts += render(plan_of(scene_of(alone)), backend).image
    assert np.allclose(whole, parts / 5.0, rtol=1e-5, atol=1e-6 * whole.max())
    many = scene_of(dataclasses.replace(crystal, mosaic_domains=4000)).crystal.domain_scales
    assert many.std(axis=0) * 100 == pytest.approx(spread, rel=0.05) and (many[0] == 1.0).all()


def test_cells_alone_may_differ():
    crystal = dataclasses.replace(CRYSTAL, cell_spread_percent=(2, 2, 2), mosaic_domains=4)
    one, other = (image_of(crystal, backend=backend) for backend in ("fast", "strict"))
    assert_close_image(one, other)
    assert np.abs(one - image_of(CRYSTAL)).max() > 0.1 * one.max()


def test_several_crystals_are_a_sum():
    """Others like it at random, and others that are said; each with the share of the beam that it meets."""
    first = dataclasses.replace(CRYSTAL, lattices=2, lattice_seed=3, share=0.5)
    second = dataclasses.replace(CRYSTAL, N=(9, 4, 6), misset_deg=(60, 0, 40), share=0.25)
    water = nb.Water(edge_um=0.5)
    whole = image_of(first, other_crystals=(second,), backgrounds=(water,))
    turned = first.in_all_lattices[1]
    assert turned.misset_deg != first.misset_deg
    alone = [
        image_of(dataclasses.replace(c, lattices=1, share=1.0)).astype(float) * c.share for c in (first, turned, second)
    ]
    droplet = image_of(CRYSTAL, nb.constant(0.0), backgrounds=(water,))
    assert np.allclose(whole, sum(alone) + droplet, rtol=1e-5)
    other = dataclasses.replace(first, lattice_seed=4).in_all_lattices[1]
    assert other.misset_deg != turned.misset_deg


def test_dose_and_b_factor_fade_intensities():
    """exp(-2 A stol) and exp(-2 B stol^2) of each spot's intensity."""
    nodes = np.stack(np.meshgrid(*[np.arange(-30, 31)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    factors = nb.structure_factors(nodes, np.full(len(nodes), 10.0))
    fresh = image_of(CRYSTAL, factors).astype(float)
    d = DETECTOR.resolution_map(BEAM)
    for fields, left in (
        ({"dose_MGy": 8.0}, np.exp(-2.0 * 0.139 * 8.0 / (2.0 * d))), ({"B_A2": 15.0}, np.exp(-2.0 * 15.0 / (4.0 * d * d))),
        ({"dose_MGy": 8.0, "decay_per_MGy": 0.0693}, np.exp(-2.0 * 0.0693 * 8.0 / (2.0 * d))),
    ):  # fmt: skip
        faded = image_of(dataclasses.replace(CRYSTAL, **fields), factors).astype(float)
        bright = fresh > np.quantile(fresh, 0.95)
        assert np.median(faded[bright] / fresh[bright] / left[bright]) == pytest.approx(1.0, abs=0.02)
        assert np.abs(faded[bright] / fresh[bright] / left[bright] - 1.0).max() < 0.3  # a pixel is not its spot's node


def test_each_crystal_fades_by_itself():
    nodes = np.stack(np.meshgrid(*[np.arange(-30, 31)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    factors = nb.structure_factors(nodes, np.full(len(nodes), 10.0))
    other = dataclasses.replace(CRYSTAL, misset_deg=(60, 0, 40), B_A2=40.0)
    both = image_of(CRYSTAL, factors, other_crystals=(other,)).astype(float)
    assert np.allclose(both, image_of(CRYSTAL, factors).astype(float) + image_of(other, factors), rtol=1e-5)


def test_models_travel_as_json():
    e = Experiment(
        dataclasses.replace(CRYSTAL, lattices=2, mosaic_axes_deg=(0.1, 0.2, 0.3), mosaic_domains=3), DETECTOR,
        nb.FactorsFrom(default_F=3), BEAM, other_crystals=(dataclasses.replace(CRYSTAL, share=0.3),),
        backgrounds=(nb.Amorphous(material="water", thickness_um=3), nb.Gas(before_mm=3), nb.Ice(thickness_um=1)),
        beamstop=nb.Beamstop(size_mm=3), response=nb.Response(gain=2, stages=()),
    )  # fmt: skip
    again = Experiment.of_json(e.to_json())
    assert dataclasses.replace(again, mask=None) == e
    other = {"misset_deg": [1, 2, 3]}
    tables = e.to_json() | {"other_crystal": [other]}
    assert Experiment.of_json(tables).other_crystals[0] == dataclasses.replace(
        e.crystal, misset_deg=(1, 2, 3), lattices=1
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"mosaic_axes_deg": (0.1, 0.2, 0.3)}, "mosaic_domains"), ({"mosaic_axes_deg": (0.1, 0, 0.3)}, "mosaic_axes_deg"),
        ({"cell_spread_percent": (1, 1, 1)}, "mosaic_domains"), ({"cell_spread_percent": (90, 1, 1)}, "cannot be meant"),
        ({"lattices": 0}, "lattices"), ({"share": 0}, "share"), ({"dose_MGy": -1}, "dose_MGy"),
        ({"mosaic_axes_deg": (0.1, 0.2, 0.3), "mosaic_domains": 3, "mosaic_deg": 1}, "take one"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(fields, says):
    with pytest.raises(nb.BadInput, match=says):
        dataclasses.replace(CRYSTAL, **fields)


def drawn(count=4000, **canonical):
    axis = axis_of({"field": "beam.fluence", "whole": False} | canonical, ".", 7)
    return np.array([[float(word) for word in axis.given(n)[0][1]] for n in range(count)])


def test_draws_have_their_distributions():
    assert stats.kstest(drawn(draw="uniform", first=[2], second=[5]).ravel(), "uniform", (2, 3)).pvalue > 1e-3
    assert stats.kstest(drawn(draw="normal", first=[2], second=[5]).ravel(), "norm", (2, 5)).pvalue > 1e-3
    lognormal = drawn(draw="lognormal", first=[20], second=[0.5]).ravel()
    assert stats.kstest(lognormal, stats.lognorm(0.5, scale=20).cdf).pvalue > 1e-3
    vectors = drawn(draw="uniform", first=[0, 10], second=[1, 20])
    assert vectors.shape == (4000, 2) and abs(np.corrcoef(vectors.T)[0, 1]) < 0.06
    whole = drawn(draw="normal", first=[3], second=[2], least=1, whole=True).ravel()
    assert whole.min() == 1 and (whole % 1 == 0).all()
    words = axis_of(
        {"field": "crystal.shape", "draw": "choice", "choices": [['"square"'], ['"gauss"']], "whole": False}, ".", 7
    )
    found = [words.given(n)[0][1][0] for n in range(400)]
    assert 150 < found.count('"gauss"') < 250


def test_draws_depend_on_seed_name_and_number_alone():
    def one(name, seed, n):
        return axis_of(
            {"field": name, "draw": "uniform", "first": [0], "second": [1], "whole": False}, ".", seed
        ).given(n)

    assert one("a.b", 1, 5) == one("a.b", 1, 5) != one("a.b", 1, 6)
    assert one("a.b", 1, 5)[0][1] != one("a.c", 1, 5)[0][1] and one("a.b", 1, 5) != one("a.b", 2, 5)


JOB = """
images = 3
output = "out"
[factors]
default_F = 60
[crystal]
cell = [40, 45, 50, 80, 95, 100]
[detector]
shape = [40, 50]
pixel_mm = 1.0
[[background]]
kind = "amorphous"
material = "water"
thickness_um = 3
"""


def test_fields_of_lists_and_of_all_tables_vary(tmp_path):
    from nanobragg.cli.batch.job_file import read_job

    (tmp_path / "job.toml").write_text(
        JOB + '[[axis]]\nfield = "background.0.thickness_um"\nlognormal = [5, 0.4]\n'
        '[[axis]]\nfield = "crystal.N"\nuniform = [[5, 5, 5], [20, 20, 20]]\nwhole = true\n'
        '[[axis]]\nfield = "response.gain"\nvalues = [1.0, 2.0, 3.0]\n[[axis]]\nfield = "crystal.lattices"\nchoice = [1, 2]\n'
    )
    job = read_job(str(tmp_path / "job.toml"))
    tables = [job.tables(n) for n in range(3)]
    assert len({t["background"][0]["thickness_um"] for t in tables}) == 3
    assert all(5 <= n <= 20 and n % 1 == 0 for t in tables for n in t["crystal"]["N"])
    assert [t["response"]["gain"] for t in tables] == [1.0, 2.0, 3.0]
    assert {t["crystal"]["lattices"] for t in tables} <= {1, 2}


@pytest.mark.parametrize(
    ("axis", "says"),
    [
        ('field = "background.1.thickness_um"\nvalues = [1, 2, 3]', "numbered from 0"),
        ('field = "background.thickness_um"\nvalues = [1, 2, 3]', "background.NUMBER.NAME"),
        ('field = "background.0.thickness"\nvalues = [1, 2, 3]', "did you mean thickness_um"),
        ('field = "beam.fluence"\nuniform = [1]', "two numbers"), ('field = "beam.fluence"\nnormal = [1, -1]', "standard deviation"),
        ('field = "beam.fluence"\nlognormal = [0, 1]', "median"), ('field = "beam.fluence"\nuniform = ["a", 2]', "no number"),
        ('field = "beam.fluence"\nchoice = []', "something in it"), ('field = "beam.fluence"\nuniform = [1, 2]\nwhole = 3', "true or false"),
        ('field = "beam.fluence"\nuniform = [1, 2]\nnormal = [1, 2]', "must have one of"), ("uniform = [1, 2]", "field"),
    ],
)  # fmt: skip
def test_axes_that_cannot_be_meant(axis, says, tmp_path):
    from nanobragg.cli.batch.job_file import read_job

    (tmp_path / "job.toml").write_text(JOB + f"[[axis]]\n{axis}\n")
    with pytest.raises(nb.BadInput, match=says):
        read_job(str(tmp_path / "job.toml"))


def test_the_original_has_no_words_for_these():
    for fields in (
        {"crystal": dataclasses.replace(CRYSTAL, lattices=2)}, {"beamstop": nb.Beamstop()}, {"response": nb.Response(gain=2)},
        {"crystal": dataclasses.replace(CRYSTAL, share=0.5)}, {"other_crystals": (CRYSTAL,)},
        {"crystal": dataclasses.replace(CRYSTAL, B_A2=5)}, {"backgrounds": (nb.Gas(),)},
    ):  # fmt: skip
        e = Experiment(**({"crystal": CRYSTAL, "detector": DETECTOR, "factors": FLAT} | fields))
        with pytest.raises(nb.BadInput, match=r"no words for|the original knows"):
            nb.render_experiment(e, quirks="c")
