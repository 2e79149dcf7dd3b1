"""What the headers of a mask and an image say, before any flag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nanobragg.cli.nanobragg.messages import remark
from nanobragg.cli.nanobragg.parse import named_headers
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.formats.smv import read_smv
from nanobragg.engine.original import choices
from nanobragg.engine.original.headers import header_settings
from nanobragg.engine.original.quirks import NONE
from nanobragg.engine.original.settings import Settings


def read_headers(
    arguments: Sequence[str],
    settings: dict[str, Any],
    origin: dict[str, str] | None = None,
    *,
    any_format: bool = False,
) -> np.ndarray | None:
    """Let the mask's and then the image's header change the settings; returns the mask's pixels.

    ``origin`` learns where each setting comes from. In ``any_format``, or where files are read right, a mask may be
    npy, CBF or HDF5, which changes no setting: its pixels are (slow, fast).
    """
    fixes = settings.get("fixes", NONE)
    any_format = any_format or choices.masks_of_any_format(fixes)
    names, mask = named_headers(arguments), None
    if not names:
        return None  # readers of other formats are not loaded then
    from nanobragg.engine.formats.any_image import is_other_image, read_image

    for setting, flag in (("mask_file", "-mask"), ("img_file", "-img")):
        if setting not in names:
            continue
        settings[setting] = names[setting]
        if flag == "-mask" and any_format and is_other_image(names[setting]):
            try:
                mask = read_image(names[setting])
            except BadInput as error:
                raise BadInput(f"-mask {error}") from None
            continue
        try:
            image = read_smv(names[setting], flag, any_type=not choices.masks_of_any_format(fixes))
        except OSError as error:
            if choices.header_images_must_be_there(fixes):
                raise BadInput(f"{flag} {names[setting]}: {reason(error)}") from None
            remark(f"Q70 files: {flag} {names[setting]}: {reason(error)}: ignored")
            continue
        is_mask = flag == "-mask"
        found = header_settings(image, settings.get("pixel", Settings.pixel), is_mask=is_mask, fixes=fixes)
        settings.update(found)
        if origin is not None:
            origin.update({name: f"the header of {flag} {names[setting]}: {name}" for name in found})
        if image.missing:
            remark(
                f"{flag} {names[setting]}: the last {image.missing} pixels are not whole: bytes that are missing are 0"
            )
        if is_mask:
            mask = image.pixels
    return mask
