"""The flags of the original, in its order: parsing, usage, help and documentation are made from this one table.

An argument is tried against every rule in turn; several can fire on one argument. A rule's ``needs`` is the number of
arguments that must follow; values are taken from the arguments after it, which are examined as flags in their turn.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from nanobragg.engine.c_numbers import DEGREES, INTEGER, REAL, divide, g, integer, low_32_bits, real


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A name: the whole argument (``exact``), or any part of it."""

    text: str
    exact: bool = False

    def matches(self, argument: str) -> bool:
        """Whether this name is the argument, or occurs in it."""
        return argument == self.text if self.exact else self.text in argument


SPELLINGS = {
    "-detector_abs": ["-detector_absorb", "-detector_absorption"], "-wave": ["-wavelength"],
    "-mat": ["-matrix", "-matfile"], "-hkl": ["-hklfile"], "-dump": ["-dumpfile"], "-mosaici": ["-mosaicity"],
    "-mosaic_spr": ["-mosaic_spread"], "-mosaic_dom": ["-mosaic_domains"], "-pix0_vector": ["-pix0_vector_mm"],
    "-pixel": ["-pixel_size"], "-sample_thick": ["-sample_thickness"], "-xtal_thick": ["-xtal_thickness"],
    "-sample_heigh": ["-sample_height"], "-xtal_heigh": ["-xtal_height"], "-heigh": ["-height"],
    "-sample_den": ["-sample_density"], "-molec": ["-molecular_weight"], "-curved_det": ["-curved_detector"],
    "-detsize_f": ["-detsize_fast"], "-detsize_s": ["-detsize_slow"], "-detpixels_f": ["-detpixels_fast"],
    "-detpixels_s": ["-detpixels_slow"], "-adc": ["-adc_offset"], "-osc": ["-oscillation"], "-img": ["-imgfile"],
}  # fmt: skip
Reader = Callable[[str], Any]  # how the text of a value becomes a setting
Effect = Callable[[Sequence[str]], dict[str, Any]]  # from the arguments that follow to the settings they change


@dataclasses.dataclass(frozen=True)
class Rule:
    """One line of the table.

    ``crashes`` marks flags that the original reads past the argument list for; ``ends`` says whether the search for
    this argument ends, given what the rule has set.
    """

    number: int
    group: str
    patterns: tuple[Pattern, ...]
    needs: int
    values: str
    help: str
    effect: Effect
    ends: Callable[[dict[str, Any]], bool] = lambda changes: False
    crashes: bool = False

    @property
    def names(self) -> frozenset[str]:
        """All names, and the longer spellings in use of those that are cut short."""
        texts = [pattern.text for pattern in self.patterns]
        return frozenset(texts).union(*(SPELLINGS.get(text, ()) for text in texts))

    @property
    def name(self) -> str:
        """The first name."""
        return self.patterns[0].text

    def kinds(self, number: int) -> list[str]:
        """What each of the first ``number`` values is."""
        return self.values.split()[:number]

    def matches(self, argument: str) -> bool:
        """Whether one of the names fits."""
        return any(pattern.matches(argument) for pattern in self.patterns)


INFINITE = re.compile(r"\+?inf(inity)?", re.IGNORECASE)
WORDS = {"file", "random", "beam|sample"}  # values that are no numbers
COUNTS = {"n", "xmin", "xmax", "ymin", "ymax", "fast", "slow"}  # values that are whole numbers
# Values of these units cannot be meant below 0, but for some flags that can, and for some angles that cannot.
FROM_0 = {"n", "mm", "um", "A", "eV", "%", "mrad", "photons/m^2", "photons/s", "s", "g/cm^3", "Da", "factor"}
BELOW_0_TOO = {
    "-Xbeam", "-Ybeam", "-Xclose", "-Yclose", "-distance", "-close_distance", "-seed", "-mosaic_seed", "-misset_seed",
}  # fmt: skip
ANGLES_FROM_0 = {"-osc", "-phistep", "-mosaic"}


def misread(rule: Rule, kind: str, value: str) -> str | None:
    """What is wrong with a value, in words, where the original reads it as another number than it says; else nothing.

    ``kind`` is the word of `Rule.values` for it.
    """
    if kind in WORDS:
        return None
    if rule.name == "-detector_abs" and "inf" in value:
        return None if INFINITE.fullmatch(value) else f"{value!r} is no number, and was read as infinite"
    whole_number = kind in COUNTS
    if not (INTEGER if whole_number else REAL).fullmatch(value):
        read = integer(value) if whole_number else real(value)
        return f"{value!r} is no {'whole ' * whole_number}number, and was read as {g(read)}"
    if whole_number and integer(value) != int(value):
        return f"{value} does not fit into 32 bits, and was read as {integer(value)}"
    may_be_negative = rule.name in BELOW_0_TOO or not (kind in FROM_0 or rule.name in ANGLES_FROM_0)
    return None if may_be_negative or not real(value) < 0.0 else f"{value} is below 0"


plain: Reader = real
whole: Reader = integer
text: Reader = str


def count(value: str) -> float:
    """A whole number that the original keeps as a real."""
    return float(integer(value))


def negated(value: str) -> int:
    """Seeds are stored with the opposite sign, in 32 bits: the lowest number is its own negative."""
    return low_32_bits(-integer(value))


def mm(value: str) -> float:
    """Millimetres, or milliradians."""
    return real(value) / 1000.0


mrad = mm


def um(value: str) -> float:
    """Micrometres."""
    return real(value) * 1e-6


def um_divided(value: str) -> float:
    """Micrometres too; the last bit differs."""
    return real(value) / 1e6


def degrees(value: str) -> float:
    """Degrees."""
    return real(value) / DEGREES


def percent(value: str) -> float:
    """Per cent."""
    return real(value) / 100.0


def angstrom(value: str) -> float:
    """Angstrom."""
    return real(value) / 1.0e10


def resolution(value: str) -> float:
    """Angstrom too; the last bit differs."""
    return real(value) * 1e-10


def electronvolt(value: str) -> float:
    """Photon energy to wavelength."""
    return divide(12398.42, real(value)) / 1.0e10


def density(value: str) -> float:
    """g/cm^3."""
    return real(value) * 1e6


CELL_SLOTS = (
    ("cell_a", plain), ("cell_b", plain), ("cell_c", plain),
    ("cell_alpha", degrees), ("cell_beta", degrees), ("cell_gamma", degrees),
)  # fmt: skip


def sets(*names: str, reader: Reader, **fixed: Any) -> Effect:
    """All ``names`` take the first value; ``fixed`` settings take what is written here."""

    def effect(values: Sequence[str]) -> dict[str, Any]:
        value = reader(values[0])
        return {**dict.fromkeys(names, value), **fixed}

    return effect


def each(reader: Reader, *names: str, **fixed: Any) -> Effect:
    """The names take one value each, in order."""

    def effect(values: Sequence[str]) -> dict[str, Any]:
        return {**{name: reader(value) for name, value in zip(names, values, strict=False)}, **fixed}

    return effect


def vector(name: str) -> Effect:
    """Three components, and the custom convention."""

    def effect(values: Sequence[str]) -> dict[str, Any]:
        return {name: tuple(real(value) for value in values[:3]), "convention": "CUSTOM"}

    return effect


def fixed(**settings: Any) -> Effect:
    """No value is read."""
    return lambda values: dict(settings)


def cell(values: Sequence[str]) -> dict[str, Any]:
    """Up to six numbers; the first that is absent or begins with a dash ends the list."""
    changes: dict[str, Any] = {"user_cell": True}
    for (name, reader), value in zip(CELL_SLOTS, values, strict=False):
        if value.startswith("-"):
            break
        changes[name] = reader(value)
    return changes


def random_misset(values: Sequence[str]) -> dict[str, Any]:
    """Fires only for the word random."""
    return {"misset_mode": -1} if "rand" in values[0] else {}


def pivot(values: Sequence[str]) -> dict[str, Any]:
    """The last of the two words that occurs."""
    if "beam" in values[0]:
        return {"pivot": "BEAM"}
    return {"pivot": "SAMPLE"} if "sample" in values[0] else {}


def attenuation(values: Sequence[str]) -> dict[str, Any]:
    """1/mu in micrometres; infinite or 0 means no sensor."""
    depth = real(values[0])
    if "inf" in values[0] or depth == 0.0:
        return {"thick": 0.0, "mu": 0.0}
    return {"mu": divide(1.0, depth * 1e-6)}


def always(changes: dict[str, Any]) -> bool:
    """The search ends whenever the rule fires."""
    return True


RULES: list[Rule] = []
_group = ""


def _section(name: str) -> None:
    global _group
    _group = name


def _rule(
    names: str, needs: int, values: str, help_text: str, effect: Effect, *, exact: bool = False, **extra: Any
) -> None:
    """Append a rule; a name that begins with ``=`` must be the whole argument."""
    patterns = tuple(Pattern(n.removeprefix("="), exact or n.startswith("=")) for n in names.split())
    RULES.append(Rule(len(RULES) + 1, _group, patterns, needs, values, help_text, effect, **extra))


_section("crystal")
_rule("-Na", 1, "n", "unit cells along a", sets("N_a", reader=count), ends=always)
_rule("-Nb", 1, "n", "unit cells along b", sets("N_b", reader=count), ends=always)
_rule("-Nc", 1, "n", "unit cells along c", sets("N_c", reader=count), ends=always)
_rule("=-N", 1, "n", "unit cells along each axis", sets("N_a", "N_b", "N_c", reader=count), ends=always)
_rule("-cell", 1, "a b c alpha beta gamma", "unit cell (A, degrees); what is left out is filled in", cell,
      ends=lambda changes: len(changes) <= len(CELL_SLOTS))  # fmt: skip
_rule("-misset", 1, "random", "random orientation, from -misset_seed", random_misset, ends=bool)
_rule("-misset", 3, "x y z", "turn the crystal about x, y, z (degrees)",
      each(degrees, "misset_x", "misset_y", "misset_z", misset_mode=1))  # fmt: skip
_rule(
    "-samplesize -sample_size", 1, "mm", "crystal size, all three axes", sets("size_x", "size_y", "size_z", reader=mm)
)
_rule("-sample_thick -sample_x", 1, "mm", "crystal size along a", sets("size_x", reader=mm))
_rule("-sample_width -sample_y -width", 1, "mm", "crystal size along b", sets("size_y", reader=mm))
_rule("-sample_heigh -sample_z -heigh", 1, "mm", "crystal size along c", sets("size_z", reader=mm))
_rule("-xtalsize -xtal_size", 1, "mm", "crystal size, all three axes", sets("size_x", "size_y", "size_z", reader=mm))
_rule("-xtal_thick -xtal_x", 1, "mm", "crystal size along a", sets("size_x", reader=mm))
_rule("-xtal_width -xtal_y -width", 1, "mm", "crystal size along b", sets("size_y", reader=mm))
_rule("-xtal_heigh -xtal_z -heigh", 1, "mm", "crystal size along c", sets("size_z", reader=mm))
_rule("-density -sample_den", 1, "g/cm^3", "sample density (without effect)", sets("density", reader=density))
_rule("=-MW -molec", 1, "Da", "molecular weight (without effect)", sets("MW", reader=plain))
_section("detector position")
_rule("-Xbeam", 1, "mm", "beam centre X of the convention", sets("Xbeam", reader=mm, pivot="BEAM"))
_rule("-Ybeam", 1, "mm", "beam centre Y of the convention", sets("Ybeam", reader=mm, pivot="BEAM"))
_rule("-Xclose", 1, "mm", "near point X", sets("Xclose", reader=mm, pivot="SAMPLE"))
_rule("-Yclose", 1, "mm", "near point Y", sets("Yclose", reader=mm, pivot="SAMPLE"))
_rule("-ORGX", 1, "pixels", "near point along the fast axis, as XDS counts", sets("ORGX", reader=plain, pivot="SAMPLE"))
_rule("-ORGY", 1, "pixels", "near point along the slow axis, as XDS counts", sets("ORGY", reader=plain, pivot="SAMPLE"))
_rule("-pivot", 1, "beam|sample", "what the detector is turned about", pivot)
_rule("-mosflm", 0, "", "MOSFLM's convention (default)", fixed(convention="MOSFLM", pivot="BEAM"))
_rule("-xds", 0, "", "XDS' convention", fixed(convention="XDS", pivot="SAMPLE"))
_rule("-adxv", 0, "", "adxv's convention", fixed(convention="ADXV", pivot="BEAM"))
_rule("-denzo", 0, "", "DENZO's convention", fixed(convention="DENZO", pivot="BEAM"))
_rule("-dials", 0, "", "DIALS' convention", fixed(convention="DIALS", pivot="BEAM"))
_rule("-fdet_vector", 3, "x y z", "direction of the fast axis (custom convention)", vector("fdet"))
_rule("-sdet_vector", 3, "x y z", "direction of the slow axis (custom convention)", vector("sdet"))
_rule("-odet_vector", 3, "x y z", "detector normal (custom convention)", vector("odet"))
_rule("-beam_vector", 3, "x y z", "direction of the beam (custom convention)", vector("beam"))
_rule("-polar_vector", 3, "x y z", "direction of the polarization (custom convention)", vector("polar"))
_rule("-spindle_axis", 3, "x y z", "rotation axis of the crystal (custom convention)", vector("spindle"))
_rule("-twotheta_axis", 3, "x y z", "axis of the detector swing (custom convention)", vector("tt_axis"))
_rule("-pix0_vector", 3, "x y z", "selects the custom convention; its value is not used (Q83)", vector("pix0"))
_rule("-distance", 1, "mm", "sample to beam spot", sets("distance", reader=mm, pivot="BEAM"))
_rule("-close_distance", 1, "mm", "sample to nearest point of the detector plane",
      sets("close_distance", reader=mm, pivot="SAMPLE"))  # fmt: skip
_section("sensor")
_rule("-detector_abs", 1, "um", "attenuation depth of the sensor; inf or 0: none", attenuation, crashes=True)
_rule("=-detector_thick", 1, "um", "sensor thickness", sets("thick", reader=um), crashes=True)
_rule("-detector_thicksteps", 1, "n", "sensor layers", sets("thick_steps", reader=whole), crashes=True)
_rule("-thicksteps", 1, "n", "sensor layers", sets("thick_steps", reader=whole), crashes=True)
_section("detector position")
_rule("-twotheta", 1, "degrees", "detector swing", sets("twotheta", reader=degrees, pivot="SAMPLE"))
_rule("-detector_rotx", 1, "degrees", "detector tilt about x", sets("rot_x", reader=degrees))
_rule("-detector_roty", 1, "degrees", "detector tilt about y", sets("rot_y", reader=degrees))
_rule("-detector_rotz", 1, "degrees", "detector tilt about z", sets("rot_z", reader=degrees))
_section("detector size")
_rule("=-detsize", 1, "mm", "size, both axes", sets("det_f", "det_s", reader=mm))
_rule("-detsize_f", 1, "mm", "size along the fast axis", sets("det_f", reader=mm))
_rule("-detsize_s", 1, "mm", "size along the slow axis", sets("det_s", reader=mm))
_rule("=-detpixels", 1, "n", "pixels, both axes", sets("n_f", "n_s", reader=whole))
_rule("-detpixels_f -detpixels_x", 1, "n", "pixels along the fast axis", sets("n_f", reader=whole))
_rule("-detpixels_s -detpixels_y", 1, "n", "pixels along the slow axis", sets("n_s", reader=whole))
_rule("-curved_det", 1, "", "all pixels at the same distance (one more argument must follow)",
      lambda values: {"curved": True})  # fmt: skip
_rule("-pixel", 1, "mm", "pixel size", sets("pixel", reader=mm))
_rule("-point_pixel", 0, "", "solid angle without pixel size and obliquity", fixed(point_pixel=True))
_section("beam")
_rule("=-polar", 1, "K", "Kahn polarization factor", sets("kahn", reader=plain, nopolar=False))
_rule("-nopolar", 0, "", "no polarization", fixed(nopolar=True))
_section("sub-pixels")
_rule("-oversample_thick", 0, "", "sensor capture for each sub-pixel", fixed(over_thick=True), ends=always)
_rule("-oversample_polar", 0, "", "polarization for each sub-pixel", fixed(over_polar=True), ends=always)
_rule("-oversample_omega", 0, "", "solid angle for each sub-pixel", fixed(over_omega=True), ends=always)
_rule("-oversample", 1, "n", "sub-pixels per axis; chosen if not given", sets("oversample", reader=whole))
_rule("-roi", 4, "xmin xmax ymin ymax", "render these pixels only, bounds included",
      each(whole, "roi_x0", "roi_x1", "roi_y0", "roi_y1"))  # fmt: skip
_section("beam")
_rule("-lambda -wave", 1, "A", "wavelength", sets("lambda0", reader=angstrom))
_rule("-energy", 1, "eV", "photon energy", sets("lambda0", reader=electronvolt))
_rule("-fluence", 1, "photons/m^2", "fluence", sets("fluence", reader=plain))
_rule("-flux", 1, "photons/s", "flux; replaces the fluence", sets("flux", reader=plain))
_rule("-exposure", 1, "s", "exposure time", sets("exposure", reader=plain))
_rule("-beamsize", 1, "mm", "beam size; clips the crystal", sets("beamsize", reader=mm))
_section("crystal")
_rule("=-mosaic -mosaici -mosaic_spr", 1, "degrees", "mosaic spread", sets("mosaic", reader=degrees))
_rule("-mosaic_dom", 1, "n", "mosaic domains", sets("domains", reader=whole))
_section("beam")
_rule("-dispersion", 1, "%", "wavelength spread", sets("dispersion", reader=percent))
_rule("-dispsteps", 1, "n", "wavelengths", sets("disp_steps", reader=whole))
_rule("-divergence", 1, "mrad", "divergence, both directions", sets("hdiv", "vdiv", reader=mrad))
_rule("-hdivrange", 1, "mrad", "horizontal divergence", sets("hdiv", reader=mrad))
_rule("-vdivrange", 1, "mrad", "vertical divergence", sets("vdiv", reader=mrad))
_rule("=-hdivstep", 1, "mrad", "step of the horizontal divergence", sets("hdiv_step", reader=mrad))
_rule("-hdivsteps", 1, "n", "steps of the horizontal divergence", sets("hdiv_steps", reader=whole))
_rule("=-vdivstep", 1, "mrad", "step of the vertical divergence", sets("vdiv_step", reader=mrad))
_rule("-vdivsteps", 1, "n", "steps of the vertical divergence", sets("vdiv_steps", reader=whole))
_rule("-divsteps", 1, "n", "steps of the divergence, both directions", sets("hdiv_steps", "vdiv_steps", reader=whole))
_rule("-round_div", 0, "", "elliptical divergence (default)", fixed(round_div=True))
_rule("-square_div", 0, "", "rectangular divergence", fixed(round_div=False))
_section("output")
_rule("-adc", 1, "counts", "offset of the integer images", sets("adc", reader=plain))
_section("scan")
_rule("=-phi", 1, "degrees", "start of the rotation", sets("phi0", reader=degrees))
_rule("-osc", 1, "degrees", "range of the rotation", sets("osc", reader=degrees))
_rule("=-phistep", 1, "degrees", "step of the rotation", sets("phistep", reader=degrees))
_rule("-phisteps", 1, "n", "steps of the rotation", sets("phisteps", reader=whole))
_section("structure factors")
_rule("-dmin", 1, "A", "leave out what is finer than this resolution", sets("dmin", reader=resolution))
_section("crystal")
_rule("-mat", 1, "file", "orientation matrix (MOSFLM's A matrix)", sets("mat_file", reader=text))
_section("structure factors")
_rule("-hkl", 1, "file", "amplitudes: h k l F", sets("hkl_file", reader=text))
_rule("-default_F", 1, "F", "amplitude of all others", sets("default_F", reader=plain))
_rule("-dump", 1, "file", "binary dump of the amplitudes, written and read", sets("dump_file", reader=text))
_section("files read")
_rule("-img", 1, "file", "take geometry from the header of this SMV image", sets("img_file", reader=text))
_rule("-stolout", 1, "file", "accepted; never written", sets("stolout_file", reader=text))
_rule("=-stol", 1, "file", "amorphous scattering over sin(theta)/lambda: read, used with --fix background",
      sets("stol_file", reader=text, stol_mult=1e10))  # fmt: skip
_rule("=-4stol", 1, "file", "the same over 4 sin(theta)/lambda", sets("stol_file", reader=text, stol_mult=1e10 / 4))
_rule("=-Q", 1, "file", "the same over 4 pi sin(theta)/lambda",
      sets("stol_file", reader=text, stol_mult=1e10 / math.pi / 4))  # fmt: skip
_rule("-sourcefile", 1, "file", "sources: X Y Z (m), weight, wavelength (m)", sets("source_file", reader=text))
_section("output")
_rule("-floatfile -floatimage", 1, "file", "photons per pixel, binary32", sets("float_file", reader=text))
_rule("-intfile -intimage", 1, "file", "scaled counts, SMV", sets("int_file", reader=text))
_rule("-pgmfile -pgmimage", 1, "file", "picture, PGM", sets("pgm_file", reader=text, write_pgm=True))
_rule(
    "-noisefile -noiseimage", 1, "file", "counts with photon noise, SMV", sets("noise_file", reader=text, do_noise=True)
)
_rule("-nonoise", 0, "", "no noise image", fixed(do_noise=False))
_rule("-nopgm", 0, "", "no picture", fixed(write_pgm=False))
_rule("-scale", 1, "factor", "counts per photon of the integer image", sets("int_scale", reader=plain))
_rule(
    "-pgmscale", 1, "factor", "grey levels per photon of the picture", sets("pgm_scale", reader=plain, write_pgm=True)
)
_rule("-coherent", 0, "", "accepted, without effect", fixed(coherent=True))
_rule("-printout", 0, "", "print pixel values", fixed(printout=True))
_rule("-noprogress", 0, "", "no progress lines", fixed(progress=False))
_rule("-progress", 0, "", "progress lines (default)", fixed(progress=True))
_section("structure factors")
_rule("-interpolate", 0, "", "tricubic interpolation between amplitudes", fixed(interp=1))
_rule("-nointerpolate", 0, "", "nearest amplitude", fixed(interp=0))
_section("crystal")
_rule("-round_xtal", 0, "", "ellipsoidal crystal", fixed(shape="round"))
_rule("-square_xtal", 0, "", "block-shaped crystal (default)", fixed(shape="square"))
_rule("-gauss_xtal", 0, "", "Gaussian spots", fixed(shape="gauss"))
_rule("-binary_spots -tophat_spots", 0, "", "spots with a sharp edge", fixed(shape="tophat"))
_rule("-fudge", 1, "factor", "width of round, Gaussian and top-hat spots", sets("fudge", reader=plain))
_section("output")
_rule("-printout_pixel", 2, "fast slow", "print this pixel only", each(whole, "print_f", "print_s"))
_section("random numbers")
_rule("-seed", 1, "n", "photon noise", sets("seed", reader=negated))
_rule("-mosaic_seed", 1, "n", "mosaic domains", sets("mosaic_seed", reader=negated))
_rule("-misset_seed", 1, "n", "random orientation", sets("misset_seed", reader=negated))
_section("crystal")
_rule("-water", 1, "um", "droplet of water around the crystal", sets("water", reader=um_divided))


@functools.lru_cache(maxsize=4096)  # a batch asks for the same flags again and again
def rules_for(argument: str, *, exact: bool = False) -> tuple[Rule, ...]:
    """The rules that fit an argument, in order: by any part of it, or ``exact`` by a name in full."""
    return tuple(rule for rule in RULES if (argument in rule.names if exact else rule.matches(argument)))


HEADER_FLAGS = {"-img": "img_file", "-mask": "mask_file"}
MASK_HELP = "skip pixels that are 0 in this SMV image, and take geometry from its header"

# Several rules fire on purpose: the two of -misset, sizes under their two names, and -printout_pixel, which prints.
INTENDED_TOGETHER = ({6, 7}, {10, 14}, {11, 15}, {109, 119})
