"""What detectors make of photons: against integrals, statistics and formulas that are written out here."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import integrate, stats

import nanobragg as nb
from nanobragg.engine import response as responses
from nanobragg.engine.detectors import point_spread
from nanobragg.engine.detectors.catalogue import MODELS
from nanobragg.engine.model.experiment import Experiment
from nanobragg.kernels.response import deviates, host
from nanobragg.kernels.response.plan import BLOCK
from tests import tolerances
from tests.support import assert_same_image

CRYSTAL, NOTHING = nb.Crystal(cell=(50, 50, 50, 90, 90, 90)), nb.constant(0.0)
SHAPE = (300, 400)


def scene_of(response, shape=SHAPE, pixel_mm=0.1, exposure_s=1.0, **fields):
    detector = nb.Detector(shape=shape, pixel_mm=pixel_mm, distance_mm=100, **fields)
    beam = nb.Beam(wavelength_A=1.0, exposure_s=exposure_s)
    e = Experiment(CRYSTAL, detector, NOTHING, beam, sampling=nb.Sampling(oversample=1), response=response)
    return nb.scene(e)


def read(response, mean, seed=1, shape=SHAPE, **how):
    image = np.broadcast_to(np.float32(mean), shape).copy()
    return nb.read_out(image, scene_of(response, shape, **how), seed).astype(float)


@pytest.mark.parametrize("shape", ["fiber", "gaussian"])
@pytest.mark.parametrize("fwhm", [0.3, 0.9, 1.8, 4.0])
def test_all_light_of_a_photon_is_somewhere(shape, fwhm):
    """Shares of pixels by integrals of the formula; near and far light are all of it."""
    near, far = point_spread.spread_of(shape, fwhm)
    assert near.sum(dtype=float) + far.sum() * BLOCK**2 == pytest.approx(1.0, abs=tolerances.KERNEL)
    reach = len(near) // 2

    def density(y, x):
        r2 = x * x + y * y
        if shape == "fiber":
            g = 0.652383 * fwhm
            return g / (2.0 * math.pi) * (g * g + r2) ** -1.5
        return math.log(16.0) / (math.pi * fwhm**2) * math.exp(-math.log(16.0) * r2 / fwhm**2)

    for y, x in ((0, 0), (0, 1), (1, 1), (2, 1), (reach, 0), (reach, reach)):
        wanted, _ = integrate.dblquad(density, x - 0.5, x + 0.5, y - 0.5, y + 0.5, epsabs=1e-12)
        assert near[reach + y, reach + x] == pytest.approx(wanted, rel=2e-5, abs=1e-8)
    if len(far):
        middle = len(far) // 2
        d = 5 * BLOCK
        wanted, _ = integrate.dblquad(density, d - 0.5, d + 0.5, -0.5, 0.5, epsabs=1e-14)
        assert far[middle, middle + 5] == pytest.approx(wanted, rel=0.45)  # smeared over blocks, and what is beyond


def test_light_that_leaves_the_kernel_is_not_lost():
    """One bright pixel: all its photons are on the detector, and fall off as the formula has it."""
    image = np.zeros(SHAPE, np.float32)
    image[150, 200] = 1e9
    response = nb.Response(point_spread="fiber", spread_um=80)
    counts = nb.read_out(image, scene_of(response, pixel_mm=0.172), 1).astype(float)
    assert counts.sum() == pytest.approx(1e9, rel=2e-3)
    slow, fast = np.indices(SHAPE)
    r, g = np.hypot(slow - 150, fast - 200), 0.652383 * 80 / 172
    for radius in (2, 4, 20, 60):
        assert 1.0 - counts[r <= radius].sum() / 1e9 == pytest.approx(
            g / math.hypot(g, radius), abs=0.12 * g / radius + g / 68
        )


def test_sums_over_kernels_and_fourier_transforms_are_the_same(monkeypatch):
    """A kernel that is no mirror image of itself, near the edges too; against scipy."""
    from scipy import signal

    rng = np.random.default_rng(1)
    kernel, image = rng.uniform(0, 1, (7, 7)), rng.uniform(0, 50, SHAPE).astype(np.float32)
    response = nb.Response(kernel=kernel)
    direct = nb.read_out(image, scene_of(response), 3)
    monkeypatch.setattr(host, "quicker_by_fft", lambda n, shape: True)
    assert (nb.read_out(image, scene_of(response), 3) != direct).mean() < 1e-4
    photons = nb.read_out(image, scene_of(nb.Response()), 3)
    wanted = signal.convolve2d(photons, kernel / kernel.sum(), mode="same")
    assert np.abs(direct - wanted).max() < 0.51


def test_large_kernels_go_by_fourier_transform():
    assert host.quicker_by_fft(101, (1, 2527, 2463)) and not host.quicker_by_fft(13, (1, 2527, 2463))


@pytest.mark.parametrize("gain", [0.5, 1.0, 2.7])
def test_variance_over_mean_is_the_gain(gain):
    """The noise of the readout is what rounding to whole counts needs to be even; both are taken off."""
    for mean in (3.0, 40.0, 3000.0):
        counts = read(nb.Response(gain=gain, offset=100.0, readout=2.0), mean, seed=2)
        assert counts.mean() - 100.0 == pytest.approx(gain * mean, abs=5 * math.sqrt(counts.var() / counts.size))
        slope = (counts.var() - 4.0 - 1.0 / 12.0) / (gain * mean)
        assert slope == pytest.approx(gain, rel=5.0 * math.sqrt(2.0 / counts.size) * (1.0 + 4.0 / (gain**2 * mean)))


def test_counts_are_poisson():
    """Chi^2 of how often each count comes."""
    for mean in (0.7, 9.0, 14.0, 70.0):
        counts = read(nb.Response(), mean, seed=5).astype(int).ravel()
        expected = stats.poisson.pmf(np.arange(counts.max() + 1), float(np.float32(mean))) * counts.size
        seen = np.bincount(counts)
        often = expected > 10
        chi2 = ((seen[often] - expected[often]) ** 2 / expected[often]).sum()
        assert stats.chi2.sf(chi2, often.sum() - 1) > 1e-4, mean


def test_noise_of_the_readout_is_normal():
    counts = read(nb.Response(offset=1000.0, readout=7.0), 0.0)
    assert counts.mean() == pytest.approx(1000.0, abs=0.1) and counts.std() == pytest.approx(7.0, rel=0.01)
    z = np.array([deviates.normal(3, 2, pixel, 7) for pixel in range(20000)])
    assert stats.kstest(z, "norm").pvalue > 1e-3
    pairs = z.reshape(-1, 4)
    assert np.abs(np.corrcoef(pairs.T) - np.eye(4)).max() < 0.05


def test_the_pattern_is_that_of_the_detector():
    """The mean of many frames is the map; another seed of the detector, another map; defects in their shares."""
    response = nb.Response(calibration_percent=5, dead_pixels=0.01, hot_pixels=0.005, saturation=65535)
    frames = np.mean([read(response, 1e4, seed=n) for n in range(40)], axis=0)
    (pattern,) = responses.pattern_of((1, 0.05, 0.01, 0.005), (1, *SHAPE), 1, 1).reshape(1, *SHAPE)
    dead, hot = pattern == 0.0, pattern < 0.0
    assert dead.mean() == pytest.approx(0.01, abs=0.002) and hot.mean() == pytest.approx(0.005, abs=0.002)
    assert (frames[dead] == 0.0).all() and (frames[hot] == 65535).all()
    good = pattern > 0.0
    assert np.abs(frames[good] / 1e4 / pattern[good] - 1.0).std() < 0.01 / math.sqrt(40) * 1.1
    assert pattern[good].std() == pytest.approx(0.05, rel=0.02)
    other = read(dataclasses.replace(response, detector_seed=2), 1e4)
    assert abs(np.corrcoef(other[good], pattern[good])[0, 1]) < 0.2


def test_flicker_is_of_frames_not_of_pixels():
    means = [
        read(nb.Response(flicker_percent=3, shutter_percent=4), 1e4, seed=n, shape=(40, 40)).mean() for n in range(300)
    ]
    assert np.std(means) / 1e4 == pytest.approx(0.05, rel=0.15) and np.mean(means) == pytest.approx(1e4, rel=0.01)
    frame = read(nb.Response(flicker_percent=3), 1e4, seed=3)
    assert frame.std() == pytest.approx(math.sqrt(frame.mean()), rel=0.02)


@pytest.mark.parametrize("paralysable", [False, True])
def test_dead_times(paralysable):
    for rate in (1e4, 1e5, 1e6):
        response = nb.Response(dead_time_ns=300, paralysable=paralysable)
        counts = read(response, rate * 0.1, exposure_s=0.1).mean()
        n, tau = rate, 300e-9
        wanted = n * math.exp(-n * tau) if paralysable else n / (1.0 + n * tau)
        assert counts / 0.1 == pytest.approx(wanted, rel=3e-3)


STAGES = ((500.0, 3000.0, 12.0, 25.0), (-17.0, 15000.0, 8.0, 750.0), (-1.2, 15000.0, 8.0, 12_000.0))


def test_gain_switching_raw_and_calibrated():
    """Raw values hold the stage; who takes pedestal and gain off gets the photons that calibrated values are."""
    means = np.repeat(np.geomspace(0.5, 9000, 300), 400).reshape(SHAPE).astype(np.float32)
    raw = nb.read_out(means, scene_of(nb.Response(stages=STAGES, output="raw")), 1)
    calibrated = nb.read_out(means, scene_of(nb.Response(stages=STAGES)), 1)
    photons = nb.read_out(means, scene_of(nb.Response()), 1)
    code, adc = raw >> 14, raw & 0x3FFF
    assert set(np.unique(code)) == {0, 1, 3}
    assert np.array_equal(code, np.select([photons <= 25, photons <= 750], [0, 1], 3))
    stage = np.array(STAGES)[np.select([code == 0, code == 1], [0, 1], 2)]
    taken = np.floor((adc - stage[..., 1]) / stage[..., 0] + 0.5)
    assert np.array_equal(np.maximum(taken, 0), calibrated)
    assert np.array_equal(calibrated[photons <= 25], photons[photons <= 25])
    middle = (photons > 25) & (photons <= 750)
    assert (calibrated - photons)[middle].std() == pytest.approx(math.hypot(8 / 17, math.sqrt(1 / 12)), rel=0.15)
    tenths = nb.read_out(means, scene_of(nb.Response(stages=STAGES, counts_per_photon=10)), 1)
    assert np.abs(tenths[photons <= 25] / 10 - photons[photons <= 25]).std() < 0.1


def test_counts_do_not_depend_on_threads_or_on_the_rest_of_the_image():
    response = nb.Response(point_spread="fiber", spread_um=150, calibration_percent=3, readout=3, offset=40)
    image = np.random.default_rng(2).uniform(0, 30, SHAPE).astype(np.float32)
    scene = scene_of(response)
    one, two, five = (nb.read_out(image, scene, 9, threads=n) for n in (1, 2, 5))
    assert_same_image(one, two)
    assert_same_image(one, five)
    image[200:] = 1000.0
    far = nb.read_out(image, scene_of(dataclasses.replace(response, point_spread="none", spread_um=0.0)), 9)
    near = nb.read_out(
        np.minimum(image, 30), scene_of(dataclasses.replace(response, point_spread="none", spread_um=0.0)), 9
    )
    assert_same_image(far[:200], near[:200])


def test_detectors_by_name_have_their_own():
    ideal = nb.Response()
    for name, model in MODELS.items():
        scene = nb.scene(Experiment(CRYSTAL, nb.Detector(model=name), NOTHING, sampling=nb.Sampling(oversample=1)))
        assert scene.response == model.response
        assert (model.response == ideal) == name.startswith(("Pilatus", "Eiger"))
    assert MODELS["Rayonix MX225"].response.point_spread == "fiber" and len(MODELS["Jungfrau 4M"].response.stages) == 3
    own = Experiment(CRYSTAL, nb.Detector(model="Jungfrau 1M"), NOTHING, response=ideal)
    assert nb.scene(own).response == ideal


def test_what_is_written_says_gain_offset_and_highest_count():
    from nanobragg.engine.formats import nexus

    said = {
        "counts": (nb.Response(), 1.0, 0.0, 1000), "ccd": (nb.Response(gain=2.0, offset=40.0), 2.0, 40.0, 1000),
        "raw": (nb.Response(stages=STAGES, output="raw"), 500.0, 3000.0, 65535),
        "calibrated": (nb.Response(stages=STAGES, counts_per_photon=10.0), 10.0, 0.0, 10000),
    }  # fmt: skip
    for response, gain, pedestal, highest in said.values():
        scene = scene_of(response, saturation=1000)
        assert (nexus.gain(scene, "int32"), nexus.pedestal(scene, "int32")) == (gain, pedestal)
        assert (
            nexus.saturation_of(scene, "int32")
            == highest
            == nb.read_out(np.full(SHAPE, 1e6, np.float32), scene, 1).max()
            or response.stages
        )
        assert (nexus.gain(scene, "float32"), nexus.pedestal(scene, "float32")) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"gain": 0}, "gain"), ({"readout": -1}, "readout"), ({"point_spread": "lens", "spread_um": 1}, "point_spread"),
        ({"point_spread": "fiber"}, "needs spread_um"), ({"spread_um": 3}, "of which point_spread"),
        ({"kernel": [[1, 2], [3, 4]]}, "n odd"), ({"kernel": [[-1]]}, "0 or more"), ({"kernel": [[1, 2], [3]]}, "numbers"),
        ({"dead_pixels": 2}, "share"), ({"stages": ((0, 1, 2, 3),) * 2}, "gain of 0"), ({"stages": ((1, 2),) * 2}, "stage 0"),
        ({"stages": ((1, 20000, 2, 3),) * 2}, "16384"), ({"stages": ((1, 2, 3, 4),)}, "one is gain"), ({"stages": 5}, "stages"), ({"offset": 1e300}, "cannot be meant"), ({"output": "raw"}, "stages"), ({"gain": "two"}, "gain"),
        ({"stages": STAGES, "dead_time_ns": 3}, "dead_time_ns"), ({"stages": STAGES, "gain": 2}, "those of stages"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(fields, says):
    with pytest.raises(nb.BadInput, match=says):
        nb.Response(**fields)


def test_whole_numbers_of_stages_are_numbers():
    whole = tuple(tuple(int(x) for x in stage) for stage in STAGES)
    image = np.full(SHAPE, 300.0, np.float32)
    assert_same_image(*(nb.read_out(image, scene_of(nb.Response(stages=s)), 1) for s in (whole, STAGES)))


def test_any_seed_of_64_bits():
    image, scene = np.full((9, 9), 30.0, np.float32), scene_of(nb.Response(), (9, 9))
    assert_same_image(*(nb.read_out(image, scene, seed, dtype="int32") for seed in (2**64 - 1, -1)))
    assert_same_image(*(nb.add_noise(image, seed) for seed in (2**64 - 1, -1)))


def test_spreads_that_sums_are_not_good_for():
    for wide in (1e-3, 5000.0):
        with pytest.raises(nb.BadInput, match="spread_um"):
            scene_of(nb.Response(point_spread="fiber", spread_um=wide))


def test_what_cannot_be_read_out():
    scene = scene_of(nb.Response())
    for image, says in (
        (np.zeros((3, 3)), "shape"), (np.full(SHAPE, np.nan), "not a number"), ("x", "numbers"), ([[1, 2], [3]], "numbers"),
        (np.zeros(SHAPE, complex), "numbers"),
    ):  # fmt: skip
        with pytest.raises(nb.BadInput, match=says):
            nb.read_out(image, scene, 1)
    with pytest.raises(nb.BadInput, match="dtype"):
        nb.read_out(np.zeros(SHAPE), scene, 1, dtype=np.int8)
