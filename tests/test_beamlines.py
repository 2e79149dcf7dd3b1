"""Detectors of many panels and spectra: what physics and arithmetic say of them, on every backend of the CPU."""

import dataclasses
import json

import numpy as np
import pytest

import nanobragg as nb
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import render
from tests import tolerances
from tests.support import assert_close_image, assert_same_image, cref_is_there

BACKENDS = ["strict", "fast"] + ["cref"] * cref_is_there()
CRYSTAL = nb.Crystal(cell=(40, 50, 60, 80, 95, 100), N=(8, 9, 7), misset_deg=(10, 20, 30))
FLAT = nb.constant(100.0)
WHOLE = nb.Detector(shape=(60, 90), pixel_mm=0.6, distance_mm=60, tilt_deg=(3, 4, 5), twotheta_deg=10)
ANGSTROM_EV = 12398.41984


def cut(detector, rows=2, columns=3):
    """The same detector of rows and columns of panels."""
    slow, fast = (n // parts for n, parts in zip(detector.shape, (rows, columns), strict=True))
    edge = detector.pixel_mm
    panels = tuple(
        nb.Panel((slow, fast), origin_mm=(column * fast * edge, row * slow * edge, 0.0))
        for row in range(rows) for column in range(columns)
    )  # fmt: skip
    return dataclasses.replace(detector, panels=panels)


def put_together(images, rows=2, columns=3):
    return np.block([[images[row * columns + column] for column in range(columns)] for row in range(rows)])


@pytest.mark.parametrize("convention", ["MOSFLM", "XDS", "DIALS", "ADXV", "DENZO"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_detector_that_is_cut_is_the_whole_one(backend, convention):
    whole = dataclasses.replace(WHOLE, convention=convention, thickness_um=300.0, material="Si", layers=2)
    one, many = (nb.simulate(CRYSTAL, d, FLAT, oversample=2, backend=backend) for d in (whole, cut(whole)))
    assert many.shape == (6, 30, 30)
    off = np.abs(put_together(many).astype(float) - one).max()
    assert off <= tolerances.CUT_PANELS * one.max(), off


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_panel_gives_the_bits_of_none(backend):
    alone = dataclasses.replace(WHOLE, panels=(nb.Panel(WHOLE.shape),))
    one, other = (nb.simulate(CRYSTAL, d, FLAT, oversample=1, backend=backend) for d in (WHOLE, alone))
    assert_same_image(one, other)


def turned(vectors, rotation):
    return tuple(map(tuple, np.atleast_2d(vectors) @ rotation.T)) if np.ndim(vectors) > 1 else tuple(rotation @ vectors)


def test_a_rigid_motion_changes_nothing():
    """All panels, the beam, the spindle and the crystal turned together."""
    q = np.random.default_rng(3).normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    recip = np.array(nb.scene(nb.Experiment(CRYSTAL, WHOLE, FLAT)).crystal.recip)
    group = nb.Group((nb.Panel((20, 30), origin_mm=(-9, -7, 0)), nb.Panel((20, 30), (0, 1, 0), (-1, 0, 0), (14, 3, 1))),
                     origin_mm=(0, 0, 2), name="both")  # fmt: skip

    def rendered(by):
        vectors = [
            np.array(v, float) for v in ((0, 0, 1), (0, -1, 0), (60, 1, 2), (1, 0, 0), (0, 0, 1), (0.1, 0.2, 0.9))
        ]
        fast, slow, origin, beam, polar, spindle = (tuple(by @ v) for v in vectors)
        detector = nb.Detector(panels=(group,), pixel_mm=0.6, fast=fast, slow=slow, origin_mm=origin)
        crystal = nb.Crystal(reciprocal=recip @ by.T, N=(8, 9, 7))
        light = nb.Beam(1.0, polarization=0.9, direction=beam, polarization_axis=polar)
        return nb.simulate(crystal, detector, FLAT, light, nb.Scan(2.0, 1.0, 3, axis=spindle), oversample=1)

    still, moved = rendered(np.eye(3)), rendered(rotation)
    assert still.shape == (2, 20, 30) and still.max() > 1.0
    assert np.abs(still - moved).max() <= tolerances.RIGID_MOTION * still.max()


def test_groups_move_what_is_in_them():
    """Against matrices multiplied here."""
    inner = nb.Group((nb.Panel((4, 6), (0, 1, 0), (-1, 0, 0), (1, 2, 3)),), (0, 0, 1), (0, 1, 0), (4, 5, 6))
    outer = nb.Group((inner,), (0.6, 0.8, 0), (-0.8, 0.6, 0), (7, 8, 9))
    (each,) = nb.Detector(shape=(9, 9), panels=(outer,)).panels_in_frame

    def frame(f, s):
        return np.column_stack([f, s, np.cross(f, s)])

    a, b = frame((0.6, 0.8, 0), (-0.8, 0.6, 0)), frame((0, 0, 1), (0, 1, 0))
    np.testing.assert_allclose(each.fast, a @ b @ [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(each.slow, a @ b @ [-1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(each.origin_mm, [7, 8, 9] + a @ ([4, 5, 6] + b @ [1, 2, 3]), atol=1e-14)


def test_masks_smaller_panels_and_noise_by_panel():
    """Panels of two sizes: the images have room for the larger one; what is masked is 0; noise is the panel's own."""
    panels = (nb.Panel((20, 30), masked=((2, 3, 5, 7),)), nb.Panel((10, 20), origin_mm=(0, 15, 0)))
    detector = nb.Detector(shape=(60, 60), pixel_mm=0.6, distance_mm=60, panels=panels)
    mask = np.ones((2, 20, 30))
    mask[1, 4] = 0
    image = nb.simulate(CRYSTAL, detector, FLAT, oversample=1, mask=mask)
    shown = np.ones((2, 20, 30), bool)
    shown[0, 3:7, 2:5] = shown[1, 10:] = shown[1, :, 20:] = shown[1, 4] = False
    assert ((image > 0) == shown).all()
    same = np.broadcast_to(image[:1], (2, 20, 30))
    own = nb.simulate(CRYSTAL, detector, FLAT, oversample=1, roi=[(0, 4, 1, 2), (3, 3, 0, 9)])
    inside = np.zeros((2, 20, 30), bool)
    inside[0, 1:3, :5] = inside[1, :10, 3] = True
    unmasked = nb.simulate(CRYSTAL, detector, FLAT, oversample=1)
    assert (own == np.where(inside, unmasked, 0)).all() and (own > 0).sum() > 15
    counts = nb.add_noise(np.array(same), seed=5)
    assert (counts[0] != counts[1]).any() and (counts[1] == nb.add_noise(image[0], seed=5, panel=1)).all()
    spots = nb.predict_spots(nb.set_up(CRYSTAL, detector, FLAT, oversample=1))
    assert set(spots.panel) <= {0, 1} and (spots.slow[spots.panel == 1] < 10).all()
    assert detector.resolution_map().shape == (2, 20, 30)


def test_wide_pixels_share_their_light():
    """Of chips of 256 x 256 with two pixels between: both halves have their mean; sums stay; not over gaps and masks."""
    detector = nb.detectors.jungfrau_1m(distance_mm=60)
    mask = np.ones((2, 514, 1030))
    mask[0, :10, 256] = 0
    parts = {"oversample": 1, "roi": (200, 700, 0, 300), "mask": mask}
    plan = plan_of(nb.set_up(CRYSTAL, detector, FLAT, **parts))
    assert plan.panels.wide_fast.tolist() == [255, 257, 513, 515, 771, 773] and plan.panels.wide_slow.tolist() == [
        255,
        257,
    ]
    nothing = np.empty(0, np.int64)
    for backend in BACKENDS:
        image = render(plan, backend).panels
        plain = render(plan.changed(wide_fast=nothing, wide_slow=nothing), backend).panels
        assert (image[:, 20:250, 255] == image[:, 20:250, 256]).all() and (
            plain[:, 20:250, 255] != plain[:, 20:250, 256]
        ).any()
        pair = plain[:, 20:250, 513:515].astype(float)
        assert image[:, 20:250, 513] == pytest.approx(pair.mean(axis=2), rel=1e-6)
        corner = plain[:, 255:257, 257:259].astype(float)
        assert image[:, 255, 257] == pytest.approx(corner.mean(axis=(1, 2)), rel=1e-6)
        assert (image[0, :10, 255] == plain[0, :10, 255]).all() and (image[0, :10, 256] == 0).all()
        same = np.ones(image.shape, bool)
        same[:, :, 255:259] = same[:, :, 513:517] = same[:, 255:259] = False
        assert (image[same] == plain[same]).all()
    eiger = nb.detectors.eiger_1m(distance_mm=60)
    placed = nb.set_up(CRYSTAL, eiger, FLAT, oversample=1).detector
    assert placed.wide_pixels[1].tolist() == [255, 257, 551 + 255, 551 + 257]


def of_sources(plan, numbers):
    """The plan of some sources alone, each with its weight."""
    fields = ("direction", "wavelength", "table_number", "absorption", "weight")
    return plan.changed(**{name: getattr(plan.sources, name)[numbers] for name in fields})


@pytest.mark.parametrize("sensor", [0.0, 320.0])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_image_of_a_spectrum_is_the_sum_of_its_wavelengths(backend, sensor):
    """Tables, absorption, water, divergence and all: each wavelength by itself, times its share of the photons."""
    rng = np.random.default_rng(2)
    hkl = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    energies = np.array([11900.0, 12300.0, 12800.0])
    factors = nb.structure_factors_by_energy(energies, hkl, rng.exponential(100.0, (3, len(hkl))))
    beam = nb.Beam(spectrum=nb.Spectrum(energies_eV=energies, weights=(1, 3, 0.5)), polarization=0.9,
                   divergence_mrad=(2, 0), divergence_steps=(2, 1))  # fmt: skip
    detector = dataclasses.replace(cut(WHOLE), thickness_um=sensor, material="Si" if sensor else None, layers=2)
    experiment = nb.Experiment(CRYSTAL, detector, factors, beam, backgrounds=(nb.Water(40),), sampling=nb.Sampling(1))
    plan = plan_of(nb.scene(experiment))
    assert plan.n_sources == 6 and plan.sensor.chromatic == bool(sensor)
    together = render(plan, backend).panels.astype(float)
    apart = 0.0
    for number, (energy, share) in enumerate(zip(energies, (1 / 4.5, 3 / 4.5, 0.5 / 4.5), strict=True)):
        one = of_sources(plan, np.flatnonzero(plan.sources.table_number == number))
        assert one.sources.wavelength == pytest.approx(ANGSTROM_EV / energy * 1e-10, rel=1e-9)
        mu = float(one.sources.absorption[0]) if sensor else plan.sensor.mu
        alone = one.changed(chromatic=False, mu=mu, weight=np.ones(2), steps=plan.scale.steps / 3,
                            background=plan.scale.background / 3)  # fmt: skip
        apart = apart + share * render(alone, backend).panels.astype(float)
    assert np.abs(together - apart).max() <= tolerances.SUM_OF_WAVELENGTHS * apart.max()
    if backend != "strict":
        assert_close_image(together.astype(np.float32), render(plan, "strict").panels)


def test_absorption_is_that_of_each_wavelength():
    """By a formula: without crystal, the water's light that a sensor stops, 1 - exp(-mu t / cos)."""
    from nanobragg.engine.detectors.sensors import attenuation

    detector = nb.Detector(shape=(3, 3), pixel_mm=10, distance_mm=10_000, thickness_um=320, material="Si")
    images = {}
    for energies in ((9000.0,), (12000.0,), (9000.0, 12000.0)):
        beam = nb.Beam(spectrum=nb.Spectrum(energies_eV=energies, weights=np.ones(len(energies))), polarization=None)
        e = nb.Experiment(CRYSTAL, detector, nb.constant(0.0), beam, backgrounds=(nb.Water(100),),
                          sampling=nb.Sampling(1))  # fmt: skip
        images[energies] = float(nb.render_experiment(e).image[1, 1])
    stopped = [1.0 - np.exp(-0.320 / attenuation("Si", energy)) for energy in (9000.0, 12000.0)]
    assert images[(9000.0,)] / images[(12000.0,)] == pytest.approx(
        stopped[0] / stopped[1], rel=tolerances.DEPTH_OF_SENSOR
    )
    assert images[(9000.0, 12000.0)] == pytest.approx(
        (images[(9000.0,)] + images[(12000.0,)]) / 2, rel=tolerances.DEPTH_OF_SENSOR
    )


def test_models_of_spectra():
    """Widths, sums, shots: against what they are called."""
    beam = nb.Beam(energy_eV=9500, spectrum=nb.GaussianSpectrum(fwhm_eV=20, channels=200))
    waves, weights = beam.channels()
    energies = ANGSTROM_EV / waves
    assert weights.sum() == pytest.approx(1) and energies @ weights == pytest.approx(9500)
    above = energies[weights > weights.max() / 2]
    assert np.ptp(above) == pytest.approx(20, abs=1.5)
    hat = nb.Beam(energy_eV=9500, spectrum=nb.TopHatSpectrum(width_eV=30, channels=50)).channels().weights
    assert hat.max() == pytest.approx(1 / 30) and (hat > 0).sum() in (30, 31)
    sase = nb.SaseSpectrum(channels=100)
    shots = [nb.Beam(energy_eV=9500, spectrum=sase, shot=n, seed=4).channels().weights for n in (0, 1, 0)]
    assert (shots[0] == shots[2]).all() and np.abs(shots[0] - shots[1]).sum() > 0.3
    many = np.array([nb.Beam(energy_eV=9500, spectrum=sase, shot=n).channels().weights for n in range(400)])
    assert many.mean(axis=0)[35:65] == pytest.approx(np.full(30, 1 / 40), rel=0.25)  # uniform over 40 eV
    seeded = nb.Beam(energy_eV=9500, spectrum=nb.SeededSpectrum(pedestal=0.2, fwhm_eV=1.5)).channels()
    near = np.abs(ANGSTROM_EV / seeded.wavelengths_A - 9500) < 3
    assert 0.8 <= seeded.weights[near].sum() < 0.95
    pulses = [nb.Beam(fluence=1e20, pulse_jitter_percent=10, shot=n).pulse_fluence / 1e20 for n in range(2000)]
    assert np.mean(pulses) == pytest.approx(1, abs=0.01) and np.std(pulses) == pytest.approx(0.1, rel=0.1)


def test_experiments_with_panels_and_spectra_go_to_json_and_back():
    group = nb.Group(
        (nb.Panel((4, 6), name="a"), nb.Panel((4, 6), origin_mm=(3, 0, 0), masked=((0, 0, 1, 1),))), name="g"
    )
    detector = nb.Detector(shape=(9, 9), panels=(group,), material="CdTe", thickness_um=750)
    for spectrum in (nb.SaseSpectrum(spikes=3), nb.Spectrum([1.0, 1.1], [1, 2]), nb.SpectrumFile("x.h5")):
        beam = nb.Beam(spectrum=spectrum, shot=3)
        one = nb.Experiment(CRYSTAL, detector, nb.FactorsFrom(structure="a.pdb", tables=3), beam)
        again = nb.Experiment.of_json(json.loads(json.dumps(one.to_json())))
        assert again.detector == detector and again.beam == beam and again.factors == one.factors


def test_amplitudes_between_energies():
    hkl = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    F = np.array([[1.0, 2, 3, 4], [3.0, 2, 1, 8]])
    near = nb.structure_factors_by_energy([9000, 9100], hkl, F)
    seen, numbers = near.seen_at(np.array([9040.0, 9060.0, 8000.0]))
    assert seen is near and numbers.tolist() == [0, 1, 0]
    between = nb.structure_factors_by_energy([9100, 9000], hkl, F[::-1], between=True)
    seen, numbers = between.seen_at(np.array([9025.0, 9100.0, 9025.0]))
    assert numbers.tolist() == [0, 1, 0] and len(seen.energies_eV) == 2
    assert seen.tables[0][1, 1, 1] == pytest.approx(5.0) and seen.tables[1][1, 1, 1] == pytest.approx(8.0)


BAD = [
    (lambda: nb.Panel(), "shape"),
    (lambda: nb.Panel((4, 0)), "shape"),
    (lambda: nb.Panel((4, 4), fast=(1, 0, 0), slow=(1, 1, 0)), "right angles"),
    (lambda: nb.Panel((4, 4), masked=((1, 2, 3),)), "rectangle"),
    (lambda: nb.Group(()), "there are none"),
    (lambda: nb.Detector(panels=(nb.Panel((4, 4)),)), "shape"),
    (lambda: nb.Detector(shape=(4, 4), panels=("x",)), "Panel or a Group"),
    (lambda: nb.Detector(shape=(4, 4), panels=({"shap": (1, 2)},)), "did you mean shape"),
    (lambda: nb.Detector(shape=(4, 4), panels=(nb.Panel((4, 4)),), curved=True), "flat"),
    (lambda: nb.Detector(model="Jungfrau 4M", shape=(4, 4)), "leave them out"),
    (lambda: nb.Detector(shape=(4, 4), material="Ge"), "Si, CdTe, GaAs"),
    (lambda: nb.Beam(direction=(0, 0, 0)), "no length"),
    (lambda: nb.Scan(axis=(0, 0)), "3 finite numbers"),
    (lambda: nb.Spectrum([1, 2], [0, 0]), "one must be above 0"),
    (lambda: nb.Spectrum([1, 2], [1]), "as many"),
    (lambda: nb.Beam(spectrum={"kind": "laser"}), "must be one of given, gaussian"),
    (lambda: nb.Beam(spectrum={"kind": "sase", "spike": 2}), "did you mean spike"),
    (lambda: nb.SaseSpectrum(channels=0), "channels"),
    (lambda: nb.Beam(energy_eV=40, spectrum=nb.GaussianSpectrum()).channels(), "below 0 eV"),
    (lambda: nb.SeededSpectrum(pedestal=1.5), "from 0 to 1"),
    (lambda: nb.Beam(spectrum=nb.SaseSpectrum(), dispersion_percent=1, dispersion_steps=3), "beside dispersion"),
    (lambda: nb.FactorsFrom(default_F=1, tables=3), "belong to structure"),
    (lambda: nb.FactorsFrom(structure="a.pdb", tables="each"), "must be one of channels"),
    (lambda: nb.FactorsFrom(structure="a.pdb", between_energies=True), "2 or more"),
    (lambda: nb.structure_factors_by_energy([1, 1], [[0, 0, 1]], [[1], [2]]), "must differ"),
    (lambda: nb.simulate(CRYSTAL, cut(WHOLE), FLAT, mask=np.ones((30, 30))), r"\(6, 30, 30\) \(panel, slow, fast\)"),
    (lambda: nb.simulate(CRYSTAL, cut(WHOLE), FLAT, quirks="c"), "no words"),
    (lambda: nb.simulate(CRYSTAL, cut(WHOLE), FLAT, roi=[(0, 1, 2, 3)]), "roi: has 1 of panels, the detector 6"),
    (lambda: nb.Sampling(roi=((0, 1, 2, 3), (4, 1, 0, 0))), "roi of panel 1"),
]  # fmt: skip


@pytest.mark.parametrize("make, said", BAD, ids=[said for _, said in BAD])
def test_what_cannot_be_meant(make, said):
    with pytest.raises(nb.BadInput, match=said) as error:
        make()
    assert "\n" not in str(error.value)
