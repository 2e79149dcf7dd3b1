"""The original's oddities: the one place that knows them all, by the ids of the project's list.

The ids are asked for in this folder only: where its set-up does what the original does instead of what is right, and
where it makes the kernels' `Habits`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import bites
from nanobragg.engine.original.bites import RunOfOriginal
from nanobragg.kernels.shapes import BY_DISTANCE

Fixes = frozenset[str]
NONE: Fixes = frozenset()


@dataclasses.dataclass(frozen=True)
class Quirk:
    """An oddity.

    Parameters
    ----------
    id, name
        ``Q01``; the short name of its group, that users ask for it by, or nothing.
    sentence
        What the original does.
    right
        What is computed instead where it is fixed.
    acts_in
        Where: a module of this folder, or ``habits`` for what kernels do.
    bites
        Whether it changes something in a run; ``None`` where that is said elsewhere, or cannot be known.
    """

    id: str
    name: str
    sentence: str
    right: str
    acts_in: str
    bites: Callable[[RunOfOriginal], bool] | None = None

    def __str__(self) -> str:
        return f"{self.id} {self.name}: {self.sentence}" if self.name else f"{self.id}: {self.sentence}"


FIXES = (  # what a run can compute right instead
    Quirk("Q01", "phi-carryover", "a phi step at exactly 0 keeps the orientation of the step before it",
          "the unrotated cell", "habits", bites.carries_over),
    Quirk("Q02", "interpolation", "one index out of range ends interpolation for the rest of the image",
          "each evaluation by itself", "habits"),
    Quirk("Q03", "interpolation", "interpolation was chosen from the counts given by flag, not from the crystal's size",
          "from the final counts", "crystal", bites.chosen_by_flag),
    Quirk("Q04", "oversampling", "-oversample_thick, _polar and _omega multiply the running sum, not each term",
          "each term has its own factors", "habits", bites.running_product),
    Quirk("Q07", "oversampling", "-oversample_thick without a sensor thickness: every pixel is 0",
          "no sensor", "set_up", lambda r: r.plan.sampling.oversample_thick and r.plan.sensor.thickness == 0.0),
    Quirk("Q10", "oversampling", "solid angle, polarization and capture come from the corner of each pixel",
          "of each sub-pixel", "set_up", bites.corner_factors),
    Quirk("Q11", "oversampling", "a factor that is exactly 0 counts as not known yet", "implied by Q10", "set_up"),
    Quirk("Q16", "oversampling", "-oversample_polar switches the polarization on again",
          "-nopolar wins", "set_up", lambda r: r.plan.polarization.left_out and r.plan.sampling.oversample_polar),
    Quirk("Q05", "thickness", "the sum over sensor layers is weighted with the last layer alone",
          "each layer its own", "set_up", bites.layered),
    Quirk("Q06", "thickness", "the sensor layers are thickness/(n-1) apart",
          "thickness/n", "detector", lambda r: bites.layered(r) and r.set_up.settings.thick_steps > 0),
    Quirk("Q08", "thickness", "a sensor that absorbs nothing: every pixel is 0",
          "no sensor", "detector", lambda r: r.plan.sensor.thickness > 0.0 and r.plan.sensor.mu == 0.0),
    Quirk("Q101", "thickness", "each sensor layer stands at its front, not where its photons are absorbed",
          "where they are absorbed on average", "detector", bites.absorbing),
    Quirk("Q12", "background", "the scattering of water is scaled twice",
          "once", "set_up", lambda r: r.plan.scale.water),
    Quirk("Q13", "background", "a pixel that -dmin cuts altogether loses its water background too",
          "it keeps it", "habits", lambda r: r.plan.scale.water and r.plan.factors.dmin > 0.0),
    Quirk("Q15", "weights", "source weights are not used", "terms count w/sum(w)", "beam", bites.uneven_weights),
    Quirk("Q18", "curved", "the curved detector bends about the wrong axes",
          "arcs about the sample", "habits", lambda r: r.plan.panels.curved),
    Quirk("Q19", "point-pixel", "-point_pixel gives photons per square metre",
          "per pixel", "habits", lambda r: r.plan.panels.point_pixel),
    Quirk("Q20", "spot-shape", "the width of Gaussian and top-hat spots depends on the product of the cell counts",
          "N dh along each axis", "crystal", lambda r: r.set_up.crystal.shape in BY_DISTANCE),
    Quirk("Q21", "spot-shape", "that distance uses vectors that are not rotated", "implied by Q20", "crystal"),
    Quirk("Q34", "sampling", "the divergence grid of a range and a step is not centred",
          "centred", "sampling", bites.off_centre_grid),
    Quirk("Q35", "sampling", "a count of divergence steps without a range: the range is 1 radian",
          "refused", "sampling", bites.count_alone),
    Quirk("Q36", "sampling", "a step without a range: the count given is replaced by 2",
          "the count is kept", "sampling", bites.count_overwritten),
    Quirk("Q38", "sampling", "phi steps stand at the beginning of their intervals", "in the middle", "scan"),
    Quirk("Q39", "sampling", "a phi step of 0 beside a range is kept", "it is derived", "sampling"),
    Quirk("Q41", "sampling", "a count of wavelengths without a range is passed over", "refused", "beam"),
    Quirk("Q44", "random", "random orientations are not uniform",
          "uniform", "crystal", lambda r: r.set_up.crystal.random_misset),
    Quirk("Q45", "random", "mosaic domains favour large angles",
          "even over rotations", "crystal", lambda r: r.plan.cells.mosaic_spread > 0.0),
    Quirk("Q48", "random", "a negative seed goes on with another stream's numbers",
          "a stream of its own for each", "crystal", bites.negative_seed),
    Quirk("Q49", "random", "one seed starts no generator", "refused", "crystal"),
    Quirk("Q50", "random", "-seed does not reach a random orientation",
          "it does, unless -misset_seed is given", "options"),
    Quirk("Q52", "random", "large counts are no whole numbers", "drawn from counters", "set_up"),
    Quirk("Q53", "random", "domains without a spread still draw deviates", "they draw none", "crystal"),
    Quirk("Q54", "files", "reading an hkl file ends at an index that is no integer",
          "an error with the line's number", "inputs"),
    Quirk("Q55", "files", "columns of an hkl file run on over lines", "line by line", "inputs"),
    Quirk("Q56", "files", "comments of an hkl file are read as numbers", "skipped", "inputs"),
    Quirk("Q58", "files", "a dump is left unasked", "only with -dump", "options"),
    Quirk("Q59", "files", "amplitudes come from a dump left by an earlier run",
          "only with -dump", "options", lambda r: r.set_up.factors.source == "dump"),
    Quirk("Q60", "files", "a dump is read shifted by white space", "from after its form feed", "inputs"),
    Quirk("Q61", "files", "bytes that a dump lacks are 0", "an error", "inputs"),
    Quirk("Q62", "files", "a matrix that is missing is passed over", "an error", "inputs"),
    Quirk("Q64", "files", "comments and line ends of a source file change its numbers",
          "skipped, and an error for rows that cannot be", "inputs"),
    Quirk("Q66", "files", "the centre Y of a mask's header is counted from the far edge", "as written", "headers"),
    Quirk("Q67", "files", "the swing in a header has no effect", "it has", "headers"),
    Quirk("Q68", "files", "keys of a header are found inside longer ones", "whole keys", "headers"),
    Quirk("Q69", "files", "byte order and type of an SMV image are not looked at",
          "swapped, other types refused", "headers"),
    Quirk("Q70", "files", "a header image that is missing is passed over", "an error", "headers"),
    Quirk("Q71", "files", "a mask of another size is used", "an error", "detector"),
    Quirk("Q73", "background", "a table of amorphous scattering is not used: water scatters evenly",
          "-water scatters as the table says", "set_up", bites.unused_stol),
    Quirk("Q92", "flags", "flags match by part of their name", "exact names", "options"),
    Quirk("Q93", "flags", "a missing value crashes", "an error", "options"),
    Quirk("Q74", "smv", "a long header shifts the pixels", "a larger header", "smv_header"),
    Quirk("Q75", "smv", "a semicolon is missing after DIALS_ORIGIN", "it is there", "smv_header"),
    Quirk("Q77", "smv", "integers are rounded in binary32", "in binary64", "figures"),
    Quirk("Q78", "smv", "negative grey levels wrap, offsets of counts may be fractions",
          "clipped and rounded", "figures"),
    Quirk("Q79", "smv", "pixels that overflow are kept", "an error", "figures"),
    Quirk("Q80", "smv", "a beam centre of 0 may be -0", "0", "smv_header"),
    Quirk("Q102", "smv", "readers take another beam centre and an offset of 1 from SMV headers",
          "the centre that they make the beam's of, ADC_OFFSET", "smv_header", bites.is_misread),
    Quirk("Q83", "placement", "the value of -pix0_vector is not used",
          "it is", "frame", lambda r: any(r.set_up.settings.pix0)),
    Quirk("Q84", "placement", "the convention sets the pivot, whatever other flags said",
          "-pivot is honoured, a swing turns about the sample", "frame", bites.pivot_lost),
    Quirk("Q85", "placement", "a beam centre or near point given does not move the detector in this convention",
          "it does", "frame", bites.unused_centre),
    Quirk("Q88", "placement", "distance, centres and oversampling do not know of the swing",
          "they do", "detector", lambda r: r.set_up.detector.twotheta != 0.0),
    Quirk("Q90", "placement", "a beam that nobody gave clips the crystal", "only one that was given", "beam"),
    Quirk("Q28", "report", "mean, rms and rmsd are of different pixels", "of those that are rendered", "figures"),
    Quirk("Q29", "report", "squares are added up in binary32", "in binary64", "figures"),
    Quirk("Q30", "report", "the solid angle is divided by all steps", "that of the detector", "figures"),
    Quirk("Q31", "report", "the place of the maximum is that of its last sub-pixel", "the pixel's centre", "figures"),
    Quirk("Q100", "cell", "the orientation of -cell gets the angles of this cell slightly wrong",
          "1/c", "crystal", bites.wrong_angles),
    Quirk("Q17", "", "the polarization axis changes its last bits in the course of the run",
          "it does not", "habits", bites.axis_drifts),
    Quirk("Q22", "", "the ratio of sines loses its digits next to a node", "the argument is reduced first", "habits"),
    Quirk("Q25", "", "more steps than 32 bits hold are refused", "they are computed", "set_up"),
    Quirk("Q26", "", "the detector faces away: solid angles are negative",
          "absolute cosines", "habits", lambda r: bool((r.plan.panels.close_distance < 0.0).any())),
    Quirk("Q81", "", "wavelengths and divergence of flags are reported although a file gives them",
          "the file's", "smv_header"),
    Quirk("Q82", "", "masked pixels take part in the noise", "they do not", "set_up"),
    Quirk("Q94", "", "an impossible cell goes on", "an error", "crystal"),
)  # fmt: skip
KEPT = (  # conventions that are kept, and said where they matter
    Quirk("Q63", "files", "the matrix gives directions only, -cell the lengths",
          "a convention that is kept", "", bites.matrix_and_cell),
    Quirk("Q89", "placement", "the near distance given replaces -distance",
          "a convention that is kept", "", lambda r: r.set_up.settings.close_distance is not None),
    Quirk("Q91", "placement", "-flux replaces -fluence",
          "a convention that is kept, and said", "", bites.flux_taken),
    Quirk("Q98", "", "matrix and default orientation are taken as laboratory directions in every convention",
          "a convention that is kept", "", bites.z_beam_matrix),
)  # fmt: skip
QUIRKS = FIXES + KEPT
FIXABLE: Fixes = frozenset(quirk.id for quirk in FIXES)
ANYWAY: Fixes = frozenset(["Q51", "Q91", "Q99"])  # texts and errors that need no switch
NAMES = {name: [q.id for q in FIXES if q.name == name] for name in dict.fromkeys(q.name for q in FIXES if q.name)}
INTERPOLATION_ENDED = (
    "Q02 interpolation: an index came near the edge of the table: interpolation went off for the rest of the image"
)


def biting(run: RunOfOriginal) -> Iterator[Quirk]:
    """The quirks that change something in this run."""
    fixes = run.set_up.settings.fixes
    return (q for q in QUIRKS if q.id not in fixes and q.bites is not None and q.bites(run))


def fixes_of(text: str) -> Fixes:
    """The oddities that a list names: ids, short names, or ``all``, separated by commas.

    Raises
    ------
    BadInput
        For a name that is unknown, or of what is kept.
    """
    chosen: set[str] = set()
    for word in text.split(","):
        name = word.strip()
        number = f"Q{int(name[1:]):02}" if name[:1] in "Qq" and name[1:].isascii() and name[1:].isdigit() else ""
        if name == "all":
            chosen |= FIXABLE
        elif name in NAMES:
            chosen |= set(NAMES[name])
        elif number in FIXABLE:
            chosen.add(number)
        elif number in ANYWAY:
            continue
        elif number:
            raise BadInput(f"--fix {name}: is a convention or an approximation that is kept; there is nothing to fix")
        else:
            raise BadInput(f"--fix {name}: not one of {', '.join(NAMES)}, all, or ids like Q01")
    return frozenset(chosen)


def shown(fixes: Fixes) -> str:
    """The ids in order, or ``all``."""
    if fixes == FIXABLE:
        return "all"
    return " ".join(sorted(fixes, key=lambda name: int(name[1:])))
