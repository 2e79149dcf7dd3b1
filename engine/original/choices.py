"""What fixes mean for who reads arguments and files before there is anything to set up."""

from __future__ import annotations

from nanobragg.engine.original.quirks import Fixes


def exact_flags(fixes: Fixes) -> bool:
    """Whether flags are matched as they are written, and unknown ones refused (Q92, Q93)."""
    return "Q92" in fixes


def pix0_is_used(fixes: Fixes) -> bool:
    """Whether the value of ``-pix0_vector`` counts (Q83)."""
    return "Q83" in fixes


def seed_reaches_misset(fixes: Fixes) -> bool:
    """Whether ``-seed`` is that of a random orientation too (Q50)."""
    return "Q50" in fixes


def dump_only_by_name(fixes: Fixes) -> bool:
    """Whether no dump is left or taken up unasked (Q58, Q59)."""
    return bool(fixes & {"Q58", "Q59"})


def masks_of_any_format(fixes: Fixes) -> bool:
    """Whether masks are read by what they are, not as SMV alone (Q69)."""
    return "Q69" in fixes


def header_images_must_be_there(fixes: Fixes) -> bool:
    """Whether an image whose header is to be read must be there (Q70)."""
    return "Q70" in fixes


def sources_as_read(fixes: Fixes) -> bool:
    """Whether the report speaks of the sources of a file, where there is one (Q81)."""
    return "Q81" in fixes
