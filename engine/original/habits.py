"""What of the original's arithmetic kernels keep, by what is not fixed."""

from __future__ import annotations

from nanobragg.engine.original.quirks import Fixes
from nanobragg.kernels.plan import Habits


def habits_of(fixes: Fixes, *, running_products: bool) -> Habits:
    """The habits of kernels; ``running_products`` depends on the sensor too."""
    return Habits(
        phi_carryover="Q01" not in fixes,
        interpolation_ends="Q02" not in fixes,
        running_products=running_products,
        background_cut="Q13" not in fixes,
        drifting_axis="Q17" not in fixes,
        bent_about_other_axes="Q18" not in fixes,
        unit_area="Q19" not in fixes,
        whole_sines="Q22" not in fixes,
        one_side="Q26" not in fixes,
    )
