"""``nb-detector``: the detectors there are by name, what they are, and pictures of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nanobragg.cli.tools.tool import Parser, carried_out, tool_parser
from nanobragg.engine.detectors.by_name import function_name
from nanobragg.engine.detectors.catalogue import DetectorModel, detector_list, detector_model, in_words
from nanobragg.engine.errors import BadInput
from nanobragg.engine.geometry.known import read_geometry
from nanobragg.engine.model.detector import Detector

NAME = "nb-detector"
EPILOG = """examples:
  nb-detector list                              all names
  nb-detector show "Jungfrau 4M"                pixels, panels, sensor
  nb-detector show "AGIPD 1M" -o agipd.png      and a picture
  nb-detector show imported.expt -o here.png    the detector of a DIALS .expt, an NXmx master or a CrystFEL .geom"""
FEW = 12  # panels that are listed


def parser() -> Parser:
    """The options."""
    command = tool_parser(NAME, __doc__, EPILOG)
    parts = command.add_subparsers(dest="what", required=True, metavar="list|show")
    parts.add_parser("list", help="print the names of all")
    show = parts.add_parser("show", help="print what one is, and draw it")
    show.add_argument("name", help="a detector, or a file with the geometry of one")
    show.add_argument("-o", "--output", metavar="PNG", help="draw it")
    show.add_argument("--distance", type=float, default=150.0, metavar="MM", help="from the sample (default 150)")
    return command


def run(options: argparse.Namespace) -> int:
    """Print, and draw."""
    if options.what == "list":
        print(detector_list())
        return 0
    detector, title = _found(options)
    if options.output:
        from nanobragg.engine.view.layout import draw_layout  # matplotlib is loaded where it is asked for

        draw_layout(options.output, detector, title)
        print(f"wrote {options.output}")
    return 0


def _found(options: argparse.Namespace) -> tuple[Detector, str]:
    try:
        model = detector_model(options.name)
    except BadInput:
        if "." not in options.name and "/" not in options.name:
            raise BadInput(f"{options.name!r}: no detector is called that: nb-detector list prints all") from None
        detector = read_geometry(options.name).detector
        slow, fast = detector.of_each_panel
        panels = f"{len(detector.panels_in_frame)} panels of {fast} x {slow} pixels"
        print(f"{options.name}: {panels} of {detector.pixel_mm:g} mm")
        _print_panels(detector)
        return detector, options.name
    if not options.distance > 0.0:
        raise BadInput(f"--distance {options.distance:g}: must be above 0 mm") from None
    detector = Detector(model=model.name, distance_mm=options.distance).of_model()
    for line in _lines(model):
        print(line)
    _print_panels(detector)
    return detector, f"{model.name} at {options.distance:g} mm"


def _lines(model: DetectorModel) -> list[str]:
    slow, fast = model.shape
    apart = " and ".join(
        f"{gap} pixels ({axis})" for gap, axis in zip(reversed(model.gap), ("fast", "slow"), strict=True)
    )
    size = f"{fast * model.pixel_mm:.1f} x {slow * model.pixel_mm:.1f} mm"
    modules = model.modules[0] * model.modules[1]
    kept = 1.0 if model.panels else float(model.mask().mean())
    return [
        f"{model.name}: {in_words(model)}",
        f"  over all     {fast} x {slow} pixels (fast x slow), {size}",
        f"  modules      {modules} of {model.module[1]} x {model.module[0]} pixels, {apart} apart"
        + (f", {1.0 - kept:.1%} of the pixels in gaps" if kept < 1.0 else ""),
        f"  counts to    {model.saturation}",
        f"  use          --detector \"{model.name}\"   nb.detectors.{function_name(model.name)}(distance_mm=...)",
    ]  # fmt: skip


def _print_panels(detector: Detector) -> None:
    panels = detector.panels_in_frame
    for each in panels[:FEW]:
        corner, fast, slow = (" ".join(f"{x:9.3f}" for x in v) for v in (each.origin_mm, each.fast, each.slow))
        print(f"  {each.panel.name or 'panel':12} corner {corner} mm, fast {fast}, slow {slow}")
    if len(panels) > FEW:
        print(f"  ... {len(panels)} panels in all")


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return carried_out(parser(), run, line)


if __name__ == "__main__":
    import sys

    sys.exit(main())
