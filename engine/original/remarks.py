"""What a user should be told of a command line that is likely not what was meant."""

from __future__ import annotations

from collections.abc import Iterator

from nanobragg.engine import reasons
from nanobragg.engine.original.bites import RunOfOriginal
from nanobragg.engine.original.frame import CUSTOM
from nanobragg.engine.original.quirks import Quirk as Quirk
from nanobragg.engine.original.quirks import biting
from nanobragg.engine.original.set_up import SetUp
from nanobragg.kernels.plan import RenderPlan


def quirks_of(set_up: SetUp, plan: RenderPlan) -> list[Quirk]:
    """The oddities that bite."""
    return list(biting(RunOfOriginal(set_up, plan)))


def before(set_up: SetUp, plan: RenderPlan) -> Iterator[str]:
    """One line for each thing that is allowed and unlikely to be meant."""
    s, told = set_up.settings, list(reasons.before(set_up.scene, plan))
    if told and told[0].startswith("the wavelength"):
        yield told.pop(0)
    spread = (s.hdiv, s.vdiv, s.hdiv_step, s.vdiv_step, s.dispersion)
    counts = (s.hdiv_steps, s.vdiv_steps, s.disp_steps)
    if s.source_file is not None and (max(spread) > 0.0 or max(counts) > 0):
        yield "-sourcefile: divergence and dispersion of other flags are not used"
    if s.convention == CUSTOM and "convention" in s.given and not ("Q83" in s.fixes and any(s.pix0)):
        yield (
            "directions are given (custom convention): the beam centre is counted from the corner of the image along "
            "fast and slow, without MOSFLM's half pixel; unset, it is the middle"
        )
    if s.stol_file is not None and "Q73" in s.fixes and not s.water > 0.0:
        yield "-stol: nothing scatters without -water"
    if s.coherent:
        yield "Q33: -coherent has no effect, in the original either"
    yield from told
