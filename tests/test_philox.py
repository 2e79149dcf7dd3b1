"""Counter-based noise: the generator, its arithmetic, and the distribution of the counts."""

import math

import mpmath as mp
import numpy as np
import pytest

from nanobragg.kernels.image import philox
from nanobragg.kernels.response.host import counts_of
from nanobragg.kernels.response.plan import counting
from tests.support import assert_same_image, plan_of


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # published with the generator (Random123, known answers of philox4x32-10)
        ((0, 0, 0), 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ],
)
def test_known_answers(counter, key, words):
    pixel = counter[0] | counter[1] << 32
    assert " ".join(f"{int(w):08x}" for w in philox.philox(key, pixel, counter[2])) == words


def test_elementary_functions():
    rng = np.random.default_rng(1)
    for x in -rng.uniform(0, 12, 500):
        assert abs(philox.exponential(x) / float(mp.exp(mp.mpf(x))) - 1.0) < 1e-15
    for x in np.exp(rng.uniform(-40, 40, 500)):
        assert abs(philox.logarithm(x) - float(mp.log(mp.mpf(x)))) <= 4e-16 * max(abs(math.log(x)), 1.0)
    for k in [*range(20), *np.floor(np.exp(rng.uniform(0, 20, 500)))]:
        assert abs(philox.log_factorial(float(k)) - math.lgamma(k + 1.0)) <= 1e-11 + 1e-15 * math.lgamma(k + 1.0)


def noise(plan, image, adc, seed, threads, highest):
    return counts_of(plan, counting(seed, adc, highest), image, threads)


def drawn(mean, n, seed):
    plan = plan_of("-cell 50 -default_F 1 -lambda 1 -detpixels 4 -oversample 1", ".")
    plan = plan.changed(n_fast=n, n_slow=n, roi=(0, n - 1, 0, n - 1))
    image = np.full((1, n, n), mean, np.float32)  # of one panel
    return plan, image, noise(plan, image, 0.0, seed, 2, 2**31 - 1)


@pytest.mark.parametrize("mean", [0.01, 1.0, 11.0, 13.0, 1e3, 1e7])
def test_counts_follow_poisson(mean):
    """Chi-square over some 30 classes of equal probability, or of single counts; three seeds, p above 1e-4 in each."""
    for seed in (1, 2, 3):
        counts = np.array([philox.poisson(float(np.float32(mean)), seed, pixel) for pixel in range(40000)])
        p = chi_square(counts, float(np.float32(mean)))
        assert p > 1e-4, f"seed {seed}: p = {p}"


def cumulative(k, mean):
    """P(count <= k)."""
    if mean > 1e5:  # Cornish-Fisher: the error is far below what 40 000 counts can see
        z = (k + 0.5 - mean) / math.sqrt(mean)
        z += (1.0 - z * z) / (6.0 * math.sqrt(mean))
        return 0.5 * math.erfc(-z / math.sqrt(2.0))
    return float(mp.gammainc(k + 1, mean, mp.inf, regularized=True)) if k >= 0 else 0.0


def chi_square(counts, mean):
    """The probability of a larger chi-square."""
    edges = np.unique(np.quantile(counts, np.linspace(0, 1, 31)[1:-1]))
    below = np.array([0.0, *(cumulative(k, mean) for k in edges), 1.0])
    expected = np.diff(below) * len(counts)
    observed = np.diff([0, *(np.sum(counts <= k) for k in edges), len(counts)])
    enough = expected >= 5
    assert enough.sum() >= 2 and expected[~enough].sum() < 0.01 * len(counts)
    statistic = float(np.sum((observed[enough] - expected[enough]) ** 2 / expected[enough]))
    return float(mp.gammainc((enough.sum() - 1) / 2, statistic / 2, mp.inf, regularized=True))


def test_a_pixel_depends_on_seed_place_and_mean_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan, image, (counts, photons, overloads) = drawn(40.0, 100, 7)
    assert photons == counts.sum() and overloads == 0
    for threads in (1, 3):
        assert_same_image(noise(plan, image, 0.0, 7, threads, 65535)[0], counts)
    other = image.copy()
    other[:, 50:] = 3.0
    assert_same_image(noise(plan, other, 0.0, 7, 1, 65535)[0][:, :50], counts[:, :50])
    part = noise(plan.changed(roi=(10, 20, 30, 40)), image, 0.0, 7, 1, 65535)[0]
    assert_same_image(part[:, 30:41, 10:21], counts[:, 30:41, 10:21])
    assert part.sum() == counts[:, 30:41, 10:21].sum()
    assert (noise(plan, image, 0.0, 8, 1, 65535)[0] != counts).mean() > 0.8


def test_offset_and_overloads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan, image, _ = drawn(65500.0, 40, 1)
    counts, photons, overloads = noise(plan, image, 40.0, 1, 1, 65535)
    assert 0 < overloads < 1600 and counts.max() == 65535 and (counts == 65535).sum() >= overloads
    assert abs(photons / 1600 - 65500.0) < 50.0
    image[0] = [[np.nan] * 20 + [np.inf] * 20] * 40
    counts, _, _ = noise(plan, image, 40.0, 1, 1, 65535)
    assert (counts[..., :20] == 40).all() and (counts[..., 20:] == 65535).all()
