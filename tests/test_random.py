"""The generator and its deviates against recorded figures."""

import numpy as np
import pytest

from nanobragg.engine.c_numbers import in_degrees
from nanobragg.kernels.cref import host as cref
from nanobragg.kernels.image import deviates, random
from nanobragg.kernels.image.random import cap_rotation, mosaic_rotations, new_table, random_misset, uniform
from tests.support import libm_is_the_recorded_one

UNIFORM = {
    -1: ([0.415999353, 0.091964893, 0.75641048, 0.52970022, 0.930436492], 1399125485),
    -7: ([0.1228365, 0.428469986, 0.643754244, 0.467895657, 0.688501418], 1203943807),
    -31415: ([0.340610176, 0.902524471, 0.465328515, 0.467547864, 0.67355603], 979308126),
    -12345678: ([0.765989304, 0.023453664, 0.589726627, 0.535101593, 0.982231438], 1148745444),
}
POISSON = {
    0: [0, 0, 0, 0, 0],
    0.5: [0, 1, 0, 1, 0],
    3.25: [5, 2, 0, 4, 7],
    11.9: [8, 12, 9, 15, 16],
    12: [3, 13, 14, 8, 13],
    50: [33, 53, 55, 42, 52],
    1234.5: [1152, 1253, 1261, 1199, 1247],
    999999: [997667, 1000530, 1000764, 999002, 1000375],
    2e6: [2000998, 1999604.75, 1997034.5, 1996831.62, 2000478.12],
    3e8: [300012224, 299995168, 299963680, 299961184, 300005856],
}


@pytest.mark.parametrize("seed", UNIFORM)
@pytest.mark.parametrize("generator", [uniform, deviates.uniform], ids=["plain", "compiled"])
def test_uniform_deviates(seed, generator):
    table, state, drawn = new_table(), seed, []
    for _ in range(5):
        deviate, state = generator(state, table)
        drawn.append(np.float32(deviate))
    expected, last = UNIFORM[seed]
    assert drawn == [np.float32(x) for x in expected]
    assert state == last


def test_seeds_that_do_not_reseed():
    table = new_table()
    assert uniform(5, table)[0] == uniform(-1, new_table())[0], "nothing drawn yet: as seed 1"
    follow = table.copy()
    goes_on, _ = uniform(99, table)
    reseeded, _ = uniform(-99, follow)
    assert goes_on != reseeded
    assert uniform(0, new_table()) == uniform(-1, new_table())
    degenerate, seed = uniform(-2147483647, new_table())
    assert (degenerate, seed) == (0.0, 0)


@pytest.mark.parametrize("mean", POISSON)
def test_poisson_deviates(mean):
    stream, table = np.array([-31415, 0], np.int64), new_table()
    cache = np.array([0, -1, 0, 0, 0], np.float32)
    drawn = [deviates.poisson(np.float32(mean), stream, table, cache) for _ in range(5)]
    assert drawn == [np.float32(x) for x in POISSON[mean]]


def test_gaussian_deviates():
    stream, table = np.array([-31415, 0], np.int64), new_table()
    cache = np.array([0, -1, 0, 0, 0], np.float32)
    drawn = [deviates.gauss(stream, table, cache) for _ in range(4)]
    assert drawn == [np.float32(x) for x in (0.705700278, -0.279440016, -2.09694982, -2.24035692)]


@pytest.mark.cref
@pytest.mark.parametrize("mean", POISSON)
def test_poisson_deviates_of_the_c_reference(mean):
    from nanobragg._cref import ffi, lib

    state = ffi.new("nb_random *")
    lib.nb_random_start(state, -31415, 0, [0] * 32)
    assert [lib.nb_poisson(state, mean) for _ in range(5)] == [np.float32(x) for x in POISSON[mean]]
    assert cref.available()


def test_mosaic_rotation():
    table, spread = new_table(), 0.7 / 57.29577951308232
    rotations, seed = mosaic_rotations(spread, 2, -12345678, table)
    expected = [
        0.99993320533380547, -0.011164827082186878, 0.0029885627124725356,
        0.011166824560896852, 0.99993743616373076, -0.00065252396959327753,
        -0.0029810904192368189, 0.00068585313997197341, 0.9999953213417464,
    ]  # fmt: skip
    np.testing.assert_allclose(rotations[1], expected, rtol=0 if libm_is_the_recorded_one() else 1e-14)
    assert np.array_equal(rotations[0].reshape(3, 3), np.eye(3))
    assert seed == 16807 * 1148745444 % 2147483647  # one step on from the fifth draw, which UNIFORM holds


def test_rotations_are_rotations():
    table, seed = new_table(), -3
    for _ in range(200):
        rotation, seed = cap_rotation(np.float32(0.3), seed, table)
        matrix = np.array(rotation).reshape(3, 3)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-14)
        assert np.arccos((np.trace(matrix) - 1) / 2) <= 0.3 + 1e-7


def test_random_misset():
    angles, _ = random_misset(-7, new_table())
    assert [f"{in_degrees(a):f}" for a in angles] == ["22.076402", "19.703339", "8.204977"]


def test_single_precision_power_is_the_c_librarys():
    assert random._powf() is not None
    assert random._powf()(0.5, float(np.float32(1 / 3))) == pytest.approx(0.5 ** (1 / 3), rel=1e-7)
