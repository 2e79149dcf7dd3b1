"""The SMV headers that the original writes, with the oddities that are not fixed."""

from __future__ import annotations

from nanobragg.engine.formats import smv
from nanobragg.engine.original.quirks import fixes_of
from nanobragg.engine.original.set_up import SetUp

FOR_READERS = fixes_of("smv")  # what makes other programs understand a header


def of_set_up(set_up: SetUp, *, noise: bool) -> bytes:
    """The header of the integer or of the noise image; with the mean wavelength where that is fixed (Q81, Q102).

    A header that is too long is not cut, and not announced either (Q74). The noise image's differs where a beam centre
    is a negative zero (Q80). It holds neither the offset of the counts nor a beam centre that readers take for the
    beam's (Q102).
    """
    s, d, scan, fixes = set_up.settings, set_up.detector, set_up.scan, set_up.settings.fixes
    for_readers = "Q102" in fixes
    said = smv.Said(
        wavelength=set_up.beam.mean_wavelength if fixes & {"Q81", "Q102"} else s.lambda0,
        phi=scan.mean - scan.osc / 2.0 if for_readers else s.phi0,  # where the rendered range begins
        osc=scan.osc,
        beam_center=smv.center_for_readers(d) if for_readers else (d.Xbeam, d.Ybeam),
        denzo_sign=1.0 if noise else -1.0,
        offset=s.adc if for_readers else None,
    )
    text = smv.as_text(smv.header_lines(d, said))
    if "Q75" in fixes:
        text = smv.with_semicolon(text)
    if "Q80" in fixes:
        text = smv.without_negative_zeros(text)
    return smv.padded(text, announced="Q74" in fixes)


def shifts_pixels(header: bytes, set_up: SetUp) -> bool:
    """Whether a header is longer than it says (Q74)."""
    return len(header) > smv.HEADER_BYTES and "Q74" not in set_up.settings.fixes
