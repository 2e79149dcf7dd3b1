"""All golden cases on a GPU; the simulator would take days."""

import pytest

from nanobragg.engine.render import render
from tests.support import CASES, assert_close_image, assert_same_image, plan_of


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_golden_images(case, tmp_path):
    plan = plan_of(case.arguments(tmp_path), tmp_path)
    image = render(plan, "cuda").image
    assert_close_image(image[case.window], case.arrays["float"])
    assert_same_image(render(plan, "cuda").image, image)
