"""Random command lines on a GPU against strict; NANOBRAGG_RANDOM_LINES and _SEED ask for more, or others."""

import itertools
import os

import numpy as np

from benchmarks.fuzz_original import INPUTS, lines
from nanobragg.engine.errors import BadInput
from nanobragg.engine.render import choose, render
from nanobragg.kernels.shapes import SHAPES
from tests.gpu.test_golden_images import assert_made_of
from tests.support import assert_close_image, plan_of

NUMBER = int(os.environ.get("NANOBRAGG_RANDOM_LINES", "150"))
SEED = int(os.environ.get("NANOBRAGG_RANDOM_SEED", "16"))


def test_random_lines(tmp_path, engine):
    rendered = refused = 0
    for line in itertools.islice(lines(SEED, INPUTS), NUMBER):
        try:
            with np.errstate(all="ignore"):
                plan = plan_of(line, tmp_path)
        except (BadInput, SystemExit):
            refused += 1
            continue
        try:
            if choose("cuda", plan) != "cuda":
                continue
        except BadInput:
            refused += 1
            continue
        ours = render(plan, "cuda")
        try:
            # At the direct beam of a round crystal strict has noise, or nothing (docs/numerics.md): fast has the formula.
            other = "fast" if SHAPES[plan.cells.shape] == "round" else "strict"
            assert_close_image(ours.image, render(plan, other).image)
            assert_made_of(ours, engine)
        except AssertionError as error:
            raise AssertionError(f"{' '.join(line)}: {error}") from None
        rendered += 1
    assert rendered > 0.6 * NUMBER, (rendered, refused)
