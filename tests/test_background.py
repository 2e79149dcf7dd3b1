"""What scatters and shades beside the crystal, against formulas written out here, pyFAI, and tables of others."""

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest

import nanobragg as nb
from nanobragg.engine.exposure import expose
from nanobragg.engine.matter import absorption, molecules
from nanobragg.engine.model.experiment import Experiment
from nanobragg.engine.plan import plan_of
from nanobragg.engine.surroundings import around, parts, sheet
from nanobragg.kernels.surroundings.plan import Light, Sheet
from tests import tolerances
from tests.support import assert_same_image, installed_apart, working_in

R_E_SQR, AVOGADRO = 7.94079248018965e-30, 6.02214179e23
CRYSTAL = nb.Crystal(cell=(50, 50, 50, 90, 90, 90))
NOTHING = nb.constant(0.0)
DETECTOR = nb.Detector(shape=(160, 200), pixel_mm=1.0, distance_mm=120, tilt_deg=(3, 8, 2))
BEAM = nb.Beam(wavelength_A=1.1, fluence=1e22, beamsize_mm=0.05, polarization=0.7)
ONE = nb.Sampling(oversample=1)


def experiment(*backgrounds, **fields):
    known = {"crystal": CRYSTAL, "detector": DETECTOR, "factors": NOTHING, "beam": BEAM, "sampling": ONE}
    return Experiment(**(known | fields), backgrounds=backgrounds)


def image_of(e, **how):
    return nb.render_experiment(e, backend="fast", **how).image.astype(float)


def forget():
    """What was made for other images."""
    for kept in (parts._images, sheet._seen, around._lights, around._shades):
        kept._made.clear()


def beam_of(spectrum):
    return dataclasses.replace(BEAM, spectrum=spectrum)


def by_hand(e, F_of_stol, wavelength_A, offset=0.0):
    """F^2 P Omega of each pixel, with Kahn's factor from angles, in our laboratory."""
    scene = nb.scene(e)
    panel, beam = scene.detector.panel, np.array(scene.beam.direction)
    slow, fast = np.meshgrid(*(np.arange(n) + 0.5 for n in scene.detector.shape), indexing="ij")
    size = scene.detector.pixel_size
    place = panel.pix0 + size * (fast[..., None] * np.array(panel.fdet) + slow[..., None] * np.array(panel.sdet))
    place = place - offset * beam
    path = np.linalg.norm(place, axis=-1)
    d = place / path[..., None]
    cosine = d @ beam
    stol = np.sin(np.arccos(cosine) / 2.0) / wavelength_A
    polar, across = np.array(scene.beam.polar), np.cross(scene.beam.polar, beam)
    psi = np.arctan2(d @ across, d @ polar)
    kahn = 0.5 * (1.0 + cosine**2 - e.beam.polarization * np.cos(2.0 * psi) * (1.0 - cosine**2))
    omega = size**2 * np.abs(d @ np.array(panel.odet)) / path**2
    return F_of_stol(stol) ** 2 * kahn * omega, path, d


def molecules_of(thickness_um, density, weight):
    return (0.05e-3) ** 2 * thickness_um * 1e-6 * density * 1e6 * AVOGADRO / weight


def test_a_constant_table_on_a_flat_panel():
    slab = nb.Amorphous(stol=(0, 1), F=(3.0, 3.0), thickness_um=80, density=1.3, weight=20)
    wanted = R_E_SQR * 1e22 * molecules_of(80, 1.3, 20) * by_hand(experiment(), lambda s: 3.0 + 0.0 * s, 1.1)[0]
    for backend in ("fast", "strict", "cref"):
        found = nb.render_experiment(experiment(slab), backend=backend).image
        assert np.abs(found / wanted - 1.0).max() < tolerances.BACKGROUND


def test_a_table_of_four_points_is_a_polynomial_and_its_ends_are_held():
    stol, cubic = np.array([0.05, 0.1, 0.2, 0.3]), lambda s: 5.0 + 20 * s - 90 * s**2 + 100 * s**3
    slab = nb.Amorphous(stol=stol, F=cubic(stol), thickness_um=80, density=1.3, weight=20)
    wanted = R_E_SQR * 1e22 * molecules_of(80, 1.3, 20)
    wanted = wanted * by_hand(experiment(), lambda s: cubic(np.clip(s, 0.05, 0.3)), 1.1)[0]
    assert np.abs(image_of(experiment(slab)) / wanted - 1.0).max() < tolerances.BACKGROUND


@pytest.fixture
def pyfai(tmp_path_factory, monkeypatch):
    """pyFAI, in a folder of its own: it brings a package that is called as our tests are."""
    return installed_apart(tmp_path_factory.mktemp("pyfai"), "pyfai", "pyFAI>=2024.1", "silx", "numexpr")


AZIMUTHAL = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
from pyFAI.integrator.azimuthal import AzimuthalIntegrator
image = np.load(sys.argv[2] + "/image.npy")
dist, poni1, poni2, pixel, wavelength, kahn = map(float, sys.argv[3:])
ai = AzimuthalIntegrator(dist=dist, poni1=poni1, poni2=poni2, pixel1=pixel, pixel2=pixel, wavelength=wavelength)
found = ai.integrate1d(image, 400, unit="q_A^-1", correctSolidAngle=True, polarization_factor=kahn, method="full_csr")
np.save(sys.argv[2] + "/found.npy", np.array([found.radial, found.intensity]))
"""


def test_pyfai_finds_the_table_of_water(pyfai, tmp_path):
    """F over stol from an image, whose solid angles and polarization pyFAI takes out."""
    detector = nb.Detector(shape=(700, 800), pixel_mm=0.3, distance_mm=130)
    beam = dataclasses.replace(BEAM, polarization=0.9)
    e = experiment(nb.Amorphous(material="water", thickness_um=100), detector=detector, beam=beam)
    np.save(tmp_path / "image.npy", image_of(e))
    panel = nb.scene(e).detector.panel
    polar = np.array(nb.scene(e).beam.polar)
    along_fast = abs(polar @ np.array(panel.fdet)) > 0.5  # pyFAI's factor is positive along its first axis
    numbers = (0.13, panel.Sbeam, panel.Fbeam, 0.3e-3, 1.1e-10, 0.9 if along_fast else -0.9)
    program = (
        [sys.executable, "-P", "-c", AZIMUTHAL] if sys.version_info >= (3, 11) else [sys.executable, "-c", AZIMUTHAL]
    )
    subprocess.run([*program, pyfai, str(tmp_path), *map(str, numbers)], check=True, timeout=300)
    q, intensity = np.load(tmp_path / "found.npy")
    stol = q / (4.0 * math.pi)
    scale = R_E_SQR * 1e22 * molecules_of(100, 1.0, 18.0) * (0.3 / 130.0) ** 2
    inside = (stol > 0.01) & (stol < 0.3) & (intensity > 0.0)
    F = np.sqrt(intensity[inside] / scale)
    known = molecules.between(np.array(molecules.WATER[0]), np.array(molecules.WATER[1]), stol[inside])
    assert inside.sum() > 250 and np.abs(F / known - 1.0).max() < tolerances.F_OF_STOL
    assert abs(stol[inside][F.argmax()] - 0.156) < 0.01  # its ring at 3.2 A


def test_all_sources_count():
    """Of wavelengths and directions with their weights; on a grid of nodes where there are many."""
    slab = nb.Amorphous(material="water", thickness_um=80)
    waves, weights = np.array([1.0, 1.1, 1.25]), np.array([1.0, 3.0, 2.0])
    whole = image_of(experiment(slab, beam=dataclasses.replace(BEAM, spectrum=np.column_stack([waves, weights]))))
    alone = [image_of(experiment(slab, beam=dataclasses.replace(BEAM, wavelength_A=w))) for w in waves]
    wanted = sum(w * one for w, one in zip(weights / weights.sum(), alone, strict=True))
    assert np.abs(whole / wanted - 1.0).max() < tolerances.BETWEEN_WAVELENGTHS
    many = np.linspace(1.08, 1.12, 41)
    weights = np.exp(-(((many - 1.103) / 0.01) ** 2))
    found = image_of(experiment(slab, beam=dataclasses.replace(BEAM, spectrum=np.column_stack([many, weights]))))
    wanted = np.zeros(found.shape)
    for w, share in zip(many, weights / weights.sum(), strict=True):
        F = lambda s: np.sqrt(molecules.coherent("water", s.ravel())).reshape(s.shape)  # noqa: E731
        wanted += share * by_hand(experiment(), F, w)[0]
    assert (
        np.abs(found / (R_E_SQR * 1e22 * molecules_of(80, 1.0, 18.0) * wanted) - 1.0).max() < 2 * tolerances.BACKGROUND
    )
    spread = dataclasses.replace(BEAM, divergence_mrad=(60.0, 0.0), divergence_steps=(2, 1))
    two = [
        dataclasses.replace(BEAM, direction=tuple(-x for x in d))
        for d in nb.scene(experiment(beam=spread)).beam.directions
    ]
    placed = {name: tuple(x) for name, x in _vectors(experiment()).items()}
    fixed = nb.Detector(shape=DETECTOR.shape, pixel_mm=1.0, **placed)
    halves = [image_of(experiment(slab, beam=b, detector=fixed)) for b in two]
    found = image_of(experiment(slab, beam=spread))
    assert np.abs(found / (halves[0] + halves[1]) * 2.0 - 1.0).max() < tolerances.BACKGROUND


def _vectors(e):
    panel = nb.scene(e).detector.panel
    return {"fast": panel.fdet, "slow": panel.sdet, "origin_mm": np.array(panel.pix0) * 1e3}


def test_gas_along_the_beam_and_on_the_way():
    """A sum over 100 points between collimator and beamstop; absorption as xraydb has it."""
    import xraydb

    F = lambda s: np.sqrt(molecules.coherent("air", s.ravel())).reshape(s.shape)  # noqa: E731
    gas = nb.Gas(before_mm=10, behind_mm=25, absorbs=False)
    offsets = -10e-3 + 35e-3 * (np.arange(100) + 0.5) / 100
    number = (0.05e-3) ** 2 * 35e-3 / 100 * 1.2e-3 * 1e6 * AVOGADRO / 28.0
    wanted = R_E_SQR * 1e22 * number * sum(by_hand(experiment(), F, 1.1, z)[0] for z in offsets)
    assert np.abs(image_of(experiment(gas)) / wanted - 1.0).max() < tolerances.GAS
    mu = xraydb.material_mu("N2", 12398.42 / 1.1, density=1.2e-3) * 100.0
    assert absorption.of_gas("air", 12398.42 / 1.1) == pytest.approx(mu, rel=0.01)
    _, path, _ = by_hand(experiment(), F, 1.1)
    slab, absent = nb.Amorphous(material="water", thickness_um=80), nb.Gas(before_mm=0, behind_mm=0)
    shares = image_of(experiment(slab, absent)) / image_of(experiment(slab))
    assert np.abs(shares / np.exp(-mu * path) - 1.0).max() < 1e-3
    sample = nb.render_experiment(experiment(absent, factors=nb.constant(9.0), crystal=CRYSTAL)).image
    bare = nb.render_experiment(experiment(factors=nb.constant(9.0), crystal=CRYSTAL)).image
    assert np.allclose(sample, bare * shares, rtol=1e-3, atol=1e-6 * bare.max()), "the crystal's light is absorbed too"


def test_gas_ends_before_the_detector():
    """Wherever its end is said to be; what is behind a panel does not light it from the back."""
    near = nb.Detector(shape=(60, 60), pixel_mm=1.0, distance_mm=20)
    images = [image_of(experiment(nb.Gas(behind_mm=end), detector=near)) for end in (19.6, 30, 300)]
    assert np.allclose(images[0], images[1]) and np.allclose(images[0], images[2])
    assert image_of(experiment(nb.Gas(behind_mm=5), detector=near)).sum() < images[0].sum()


@pytest.fixture
def made(monkeypatch):
    """One more for each image of a part, or of what pixels see of a sheet, that is made."""
    from nanobragg.kernels.surroundings import host

    found = []
    for name in ("scattered", "seen_in"):
        make = getattr(host, name)
        monkeypatch.setattr(host, name, lambda *a, make=make: (found.append(1), make(*a))[1])
    forget()
    return found


@pytest.mark.parametrize("sensor", [{}, {"material": "Si"}, {"material": "Si", "attenuation_um": 180}])
def test_shots_share_what_is_made(made, sensor):
    """A spectrum of its own for each shot, gas that absorbs, and a beamstop: light is made for the first alone."""
    detector = dataclasses.replace(DETECTOR, thickness_um=320, **sensor) if sensor else DETECTOR
    all_parts = (
        nb.Amorphous(material="water", thickness_um=5),
        nb.Amorphous(material="paratone", thickness_um=5),
        nb.Gas(),
        nb.Ice(thickness_um=1),
    )
    counts = []
    for shot in range(3):
        beam = nb.Beam(wavelength_A=1.1, spectrum=nb.SaseSpectrum(), shot=shot)
        image_of(experiment(*all_parts, beam=beam, beamstop=nb.Beamstop(), detector=detector))
        counts.append(len(made))
    assert 0 < counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize("part", [nb.Amorphous(material="water", thickness_um=5), nb.Ice(thickness_um=1), nb.Gas()])
def test_a_shot_is_the_sum_of_its_wavelengths(part):
    """Also where light is made for a few of them alone."""
    detector = nb.Detector(shape=(90, 100), pixel_mm=2.0, distance_mm=120)
    spectrum = nb.SaseSpectrum(bandwidth_eV=20)
    e = experiment(part, detector=detector, beam=dataclasses.replace(BEAM, spectrum=spectrum, shot=3))
    beam, whole = nb.scene(e).beam, image_of(e)
    wanted = np.zeros(whole.shape)
    for wavelength, share in zip(beam.wavelengths, beam.weights / beam.weights.sum(), strict=True):
        alone = dataclasses.replace(BEAM, wavelength_A=wavelength * 1e10)
        wanted += share * image_of(experiment(part, detector=detector, beam=alone))
    assert len(beam.wavelengths) == 100
    assert np.abs(whole - wanted).max() < tolerances.BETWEEN_WAVELENGTHS * wanted.max()


@pytest.mark.parametrize("waves", [(1.09, 1.11), (0.9, 1.1), (0.7, 1.4)])
@pytest.mark.parametrize("tilt", [(0, 0, 0), (0, 45, 0)])
def test_a_sensor_absorbs_each_wavelength(waves, tilt):
    """As it does alone, where it is met obliquely too."""
    detector = nb.Detector(
        shape=(60, 60), pixel_mm=3, distance_mm=100, thickness_um=320, material="Si", layers=1, tilt_deg=tilt
    )
    slab, share = nb.Amorphous(material="water", thickness_um=80), np.array([0.4, 0.6])
    both = image_of(experiment(slab, detector=detector, beam=beam_of(np.column_stack([waves, share]))))
    alone = [
        image_of(experiment(slab, detector=detector, beam=dataclasses.replace(BEAM, wavelength_A=w))) for w in waves
    ]
    wanted = sum(w * one for w, one in zip(share, alone, strict=True))
    assert np.abs(both - wanted).max() < 2 * tolerances.BETWEEN_WAVELENGTHS * wanted.max()


def test_few_directions_are_sheets_of_their_own():
    """Rings of ice stay sharp, and no light is below 0, where a spectrum and divergence stand together."""
    spectrum = np.column_stack([np.linspace(1.07, 1.13, 41), np.ones(41)])
    parallel = image_of(experiment(nb.Ice(thickness_um=1), beam=beam_of(spectrum)))
    hardly = dataclasses.replace(beam_of(spectrum), divergence_mrad=(0.01, 0.0), divergence_steps=(2, 1))
    image = image_of(experiment(nb.Ice(thickness_um=1), beam=hardly))
    assert image.min() >= 0.0 and np.abs(image - parallel).max() < 2e-3 * parallel.max()


def test_images_do_not_depend_on_those_before_them():
    """Of other sensors, energies and habits in the same place."""
    stop, slab = nb.Beamstop(distance_mm=30, size_mm=20), nb.Amorphous(material="water", thickness_um=80)

    def image(attenuation_um, wavelength_A):
        detector = dataclasses.replace(DETECTOR, thickness_um=450, attenuation_um=attenuation_um)
        beam = dataclasses.replace(BEAM, wavelength_A=wavelength_A)
        return image_of(experiment(slab, detector=detector, beam=beam, beamstop=stop, factors=nb.constant(40.0)))

    forget()
    first = image(3000, 1.5)
    others = [image(100, 1.5), image(100, 0.8)]
    for found, arguments in zip([first, *others], [(3000, 1.5), (100, 1.5), (100, 0.8)], strict=True):
        forget()
        assert_same_image(found, image(*arguments))


def test_a_wavelength_that_nothing_has():
    spectrum = np.array([[1.0, 1.0], [1.05, 0.0], [1.1, 2.0]])
    for part in (nb.Amorphous(material="water", thickness_um=5), nb.Gas()):
        with_it, without = (image_of(experiment(part, beam=beam_of(s))) for s in (spectrum, spectrum[::2]))
        assert np.abs(with_it - without).max() < tolerances.BETWEEN_WAVELENGTHS * without.max()


def test_a_pixel_at_the_sample_is_said():
    """Its light is no number."""
    through_sample = {"fast": (1, 0, 0), "slow": (0, -1, 0), "origin_mm": (-5.5, 5.5, 0)}
    detector = nb.Detector(shape=(11, 11), pixel_mm=1.0, **through_sample)
    with pytest.raises(nb.BadInput, match="overflow"):
        image_of(experiment(nb.Amorphous(material="water", thickness_um=5), detector=detector))


def test_parts_are_added_up_by_their_weights():
    """By rows shared out to threads; the sum is kept for the very same light alone."""
    from nanobragg.kernels.surroundings import host

    rng = np.random.default_rng(5)
    parts = tuple(rng.uniform(0.0, 1.0, 7 * 50 * 60).astype(np.float32) for _ in range(5))
    table = rng.uniform(0.0, 2.0, 40).astype(np.float32)
    matter = (Sheet(parts[0], parts[1], table, 50.0),)
    of_sheet = parts[1].astype(float) * np.interp(50.0 * parts[0].astype(float), np.arange(40), table)
    for weights, also in (((0.3, 0.1, 0.2, 0.25, 0.15), ()), ((1.2, -0.4, 0.1, 0.0, 0.1), matter), ((), matter)):
        light = Light(parts[: len(weights)], weights, also)
        found = host.sum_of((7, 50, 60), light, 3)
        wanted = sum(weight * part.astype(float) for weight, part in zip(weights, parts, strict=False))
        wanted = wanted + len(also) * of_sheet
        assert np.allclose(found, wanted, rtol=0.0, atol=5e-6)
        assert host.sum_of((7, 50, 60), light, 1) is found
        assert_same_image(host.sum_of((7, 50, 60), dataclasses.replace(light), 1), found)
    assert host.sum_of((7, 50, 60), Light(parts[:1], (1.0,)), 1) is parts[0]
    assert not host.sum_of((7, 50, 60), Light((), ()), 1).size


def test_helium_is_exact_and_air_is_that_of_its_molecule():
    """Of the two electrons of helium, Compton scattering is Z - f^2/Z; F(0) of N2 is 14.1, and F^2 of a molecule's."""
    stol = np.linspace(0.0, 2.0, 50)
    f = molecules.form_factor("He", stol)
    assert np.allclose(molecules.coherent("helium", stol), f**2)
    assert np.allclose(molecules.incoherent("helium", stol), 2.0 - f**2 / 2.0, atol=1e-6)
    assert math.sqrt(molecules.coherent("air", stol)[0]) == pytest.approx(14.1, rel=0.01)
    far = molecules.coherent("air", stol)[-1] / (2.0 * molecules.form_factor("N", stol)[-1] ** 2)
    assert far == pytest.approx(1.0, abs=0.1)
    quiet = image_of(experiment(nb.Gas(material="helium", behind_mm=20)))
    with_compton = image_of(experiment(nb.Gas(material="helium", behind_mm=20, compton=True)))
    assert (with_compton > quiet).all()


def test_rings_of_ice_are_where_ice_has_them():
    e = experiment(nb.Ice(thickness_um=5), detector=nb.Detector(shape=(500, 500), pixel_mm=0.3, distance_mm=120))
    image, d = image_of(e), e.detector.resolution_map(e.beam)
    for spacing in (3.915, 3.671, 3.453, 2.675, 2.260, 2.065):
        ring, beside = (np.abs(d - at) < 0.004 for at in (spacing, spacing * 1.02))
        assert image[ring].mean() > 1.5 * image[beside].mean(), spacing
    stol = np.linspace(0.0, 1.0, 40001)
    held = np.trapezoid(molecules.ice(stol, 0.003)[np.abs(2 * stol - 1 / 3.671) < 0.006], dx=2 * (stol[1] - stol[0]))
    powder = 2 * 450.0 / (4.0 * math.pi / 3.671**2 * 130.0) / 4
    assert held == pytest.approx(powder, rel=0.02)


@pytest.mark.parametrize("shape", ["disk", "square"])
def test_the_shadow_of_a_beamstop(shape):
    """Where straight lines from the sample meet it; half a pixel of its edge is grey."""
    detector = nb.Detector(shape=(301, 301), pixel_mm=0.2, distance_mm=120)
    stop = nb.Beamstop(distance_mm=30, size_mm=4, shape=shape, offset_mm=(0.5, -0.2))
    e = experiment(nb.Amorphous(material="water", thickness_um=80), detector=detector)
    bare, shaded = image_of(e), image_of(dataclasses.replace(e, beamstop=stop))
    scene = nb.scene(e)
    panel, beam, polar = scene.detector.panel, np.array(scene.beam.direction), np.array(scene.beam.polar)
    slow, fast = np.meshgrid(*(np.arange(301) + 0.5,) * 2, indexing="ij")
    place = panel.pix0 + 0.2e-3 * (fast[..., None] * np.array(panel.fdet) + slow[..., None] * np.array(panel.sdet))
    on_plane = place / (place @ beam)[..., None] * 30.0
    x, y = on_plane @ polar - 0.5, on_plane @ np.cross(beam, polar) + 0.2
    beyond = (np.hypot(x, y) if shape == "disk" else np.maximum(abs(x), abs(y))) - 2.0
    pixel = 0.2 * 30.0 / 120.0
    assert (shaded[beyond < -pixel] == 0.0).all() and (beyond < -pixel).sum() > 4000
    assert np.array_equal(shaded[beyond > pixel], bare[beyond > pixel])
    share = shaded.sum() / bare.sum()
    assert 1.0 - share == pytest.approx(bare[beyond < 0.0].sum() / bare.sum(), rel=0.02)
    crystal = {"factors": nb.constant(50.0), "detector": detector}
    spots = nb.render_experiment(dataclasses.replace(experiment(**crystal), beamstop=stop)).image
    assert (spots[beyond < -pixel] == 0.0).all() and spots.max() > 0.0


def test_sensors_absorb_the_background_like_the_rest():
    detector = dataclasses.replace(DETECTOR, thickness_um=320, attenuation_um=250, layers=4)
    slab = nb.Amorphous(stol=(0, 1), F=(3.0, 3.0), thickness_um=80, density=1.3, weight=20)
    constant = nb.Water(edge_um=10)
    ours, theirs = (image_of(experiment(part, detector=detector)) for part in (slab, constant))
    # A droplet of water scatters the same everywhere, and is weighted in the loops, layer by layer.
    assert np.ptp(ours / theirs) / (ours / theirs).mean() < 3e-3


def test_a_batch_makes_it_once(made):
    slab, gas = (nb.Amorphous(material="water", thickness_um=80), nb.Gas(absorbs=False))
    first = image_of(experiment(slab, gas))
    assert len(made) == 2
    brighter = image_of(experiment(slab, gas, beam=dataclasses.replace(BEAM, fluence=3e22)))
    assert len(made) == 2 and np.allclose(brighter, 3.0 * first, rtol=1e-6)
    thicker = image_of(experiment(dataclasses.replace(slab, thickness_um=160), gas))
    alone = image_of(experiment(slab))
    assert len(made) == 2 and np.allclose(thicker, first + alone, rtol=1e-5)
    image_of(experiment(slab, gas, detector=dataclasses.replace(DETECTOR, distance_mm=121)))
    assert len(made) == 4


def test_masked_pixels_have_none():
    mask = np.ones(DETECTOR.shape, np.uint8)
    mask[10:30, 40:90] = 0
    slab = nb.Amorphous(material="paratone", thickness_um=50)
    whole, part = image_of(experiment(slab)), image_of(dataclasses.replace(experiment(slab), mask=mask))
    assert np.array_equal(part, whole * mask) and (whole > 0.0).all()


def _set_up(line, fixes):
    from nanobragg.cli.tools.plans import set_up_of_line, silent

    return set_up_of_line([*line.split(), *(["--fix", fixes] if fixes else [])], silent)


LINE = (
    "-cell 50 60 70 90 90 90 -default_F 0 -lambda 1 -N 2 -oversample 1 -distance 100 -pixel 1 -detpixels 60 -water 30 "
)


def test_a_table_of_the_original_is_used_where_that_is_fixed(tmp_path, capsys):
    """-stol: read and not used as it was; with --fix it is what the water scatters."""
    (tmp_path / "flat.stol").write_text("0 2.57\n0.2 2.57\n0.4 2.57\n0.9 2.57\n")
    (tmp_path / "ring.stol").write_text(
        "".join(f"{s:.2f} {2.57 + 6 * math.exp(-(((s - 0.15) / 0.03) ** 2)):.4f}\n" for s in np.arange(0, 0.9, 0.01))
    )
    with working_in(tmp_path):
        images = {}
        for name in ("", "-stol flat.stol", "-stol ring.stol"):
            for fixes in ("", "all"):
                made = _set_up(LINE + name, fixes)
                images[name, fixes] = expose(made.scene, plan_of(made.scene), "strict").image
    assert_same_image(images["-stol ring.stol", ""], images["", ""])
    flat, none = images["-stol flat.stol", "all"], images["", "all"]
    assert np.allclose(flat, none, rtol=tolerances.BACKGROUND) and flat.min() > 0.0
    assert images["-stol ring.stol", "all"].max() > 5 * images["", "all"].max()


@pytest.mark.parametrize(
    ("more", "fix"),
    [
        ("-curved_det x -polar 0.9 -Xbeam 30 -Ybeam 50", "Q18"),
        ("-detector_thick 1000 -detector_abs 300 -twotheta 30", "Q101"),
    ],
)
def test_fixes_do_not_share_what_is_made_without_them(more, fix, tmp_path):
    """Where pixels and layers stand depends on them."""
    with working_in(tmp_path):
        (tmp_path / "ring.stol").write_text("0 2\n0.1 3\n0.15 9\n0.2 3\n0.9 2\n")
        forget()
        scenes = [
            _set_up(LINE + f"-stol ring.stol {more}", fixes).scene for fixes in ("background", f"background,{fix}")
        ]
        one_after_the_other = [expose(scene, plan_of(scene), "strict").image for scene in scenes]
        forget()
        alone = expose(scenes[1], plan_of(scenes[1]), "strict").image
    assert_same_image(one_after_the_other[1], alone)
    assert (one_after_the_other[0] != alone).any()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: nb.Amorphous(material="whisky", thickness_um=1), "material: must be one of water, paratone"),
        (lambda: nb.Amorphous(thickness_um=1, density=1, weight=18), "give material, or stol and F, or file"),
        (lambda: nb.Amorphous(stol=(0, 1), F=(1, 1)), "density: must be given"),
        (lambda: nb.Amorphous(stol=(0, 0), F=(1, 1), density=1, weight=18), "stol must ascend"),
        (lambda: nb.Amorphous(stol=(0, 1), F=(1, -1), density=1, weight=18), "0 or more"),
        (lambda: nb.Gas(material="argon"), "air, nitrogen, helium"),
        (lambda: nb.Beamstop(size_mm=0), "size_mm"),
        (lambda: nb.Ice(width=0), "width"),
        (lambda: image_of(experiment(nb.Amorphous(file="no.stol", density=1, weight=18, thickness_um=1))), "no.stol"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(make, says):
    with pytest.raises(nb.BadInput, match=says):
        make()


def test_files_of_tables(tmp_path):
    path = tmp_path / "a.stol"
    for text in ("", "words and more\n", "0.1\n0.2\n", "0.2 1\n0.1 1\n", "\0\1\2"):
        path.write_text(text)
        with pytest.raises(nb.BadInput, match=r"a\.stol"):
            image_of(experiment(nb.Amorphous(file=str(path), density=1, weight=18, thickness_um=1)))
    path.write_text("# stol F\n0 3\n1 3 # held\n")
    given = nb.Amorphous(file=str(path), density=1.3, weight=20, thickness_um=80)
    same = nb.Amorphous(stol=(0, 1), F=(3.0, 3.0), density=1.3, weight=20, thickness_um=80)
    assert_same_image(image_of(experiment(given)), image_of(experiment(same)))
