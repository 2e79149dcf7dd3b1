"""``nb-view``: a look at images of all formats, as a picture or as a page in the browser."""

from __future__ import annotations

import argparse
import math
import sys
import webbrowser
from collections.abc import Sequence

import numpy as np

from nanobragg.cli.tools.plans import silent
from nanobragg.cli.tools.tool import Parser, carried_out, tool_parser
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.tables import read_any_table
from nanobragg.engine.formats.whole import check_writable, same_file, whole_file
from nanobragg.engine.model.structure_factors import StructureFactors
from nanobragg.engine.truth.spots import near_sphere
from nanobragg.engine.view.page import page
from nanobragg.engine.view.picture import Look, Shown, draw
from nanobragg.engine.view.scale import SCALES, GreyRange
from nanobragg.engine.view.server import server
from nanobragg.engine.view.sources import Source, file_of, source_of

NAME = "nb-view"
MOST_ON_A_SHEET, MOST_IN_A_PAGE, ACROSS = 20, 50, 5
NARROWEST, WIDEST = 300, 20_000
EPILOG = """examples:
  nb-view image.h5                            a page in the browser: zoom, contrast, frames, hkl under the cursor
  nb-view noiseimage.img -o picture.png       a picture: resolution rings, colour bar, the detector's coordinates
  nb-view a.cbf b.cbf -o both.png             two images side by side, with one scale
  nb-view shards/master.h5 -o sheet.png       a contact sheet of the first frames; master.h5:7 is frame 7 alone
  nb-view image.h5 --html image.html          a page in one file, to keep or to send
  nb-view floatimage.bin --shape 1024 1024 --scale log --crop 400 600 400 600 -o corner.png"""


def parser() -> Parser:
    """The options."""
    command = tool_parser(NAME, __doc__, EPILOG)
    command.add_argument("file", nargs="+", help="SMV, CBF, npy, TIFF, HDF5 (NXmx), raw binary32; FILE:N is one frame")
    where = command.add_mutually_exclusive_group()
    where.add_argument("-o", "--output", metavar="PNG", help="write a picture")
    where.add_argument("--html", metavar="FILE", help="write a page that holds all it shows")
    command.add_argument("--scale", choices=SCALES, default="sqrt", help="of the shades (default sqrt)")
    command.add_argument("--range", type=float, nargs=2, metavar=("WHITE", "BLACK"), help="values; else by the image")
    command.add_argument("--crop", type=int, nargs=4, metavar=("XMIN", "XMAX", "YMIN", "YMAX"), help="x is fast")
    command.add_argument("--width", type=int, default=1000, metavar="PIXELS", help="of the picture (default 1000)")
    command.add_argument("--across", type=int, metavar="N", help="images in a row of the picture")
    command.add_argument("--no-rings", action="store_true", help="no resolution rings")
    command.add_argument("--spots", action="store_true", help="predicted spots, where the crystal is known")
    command.add_argument("--amplitudes", metavar="HKL", help="a page shows those of the index under the cursor")
    command.add_argument("--shape", type=int, nargs=2, metavar=("SLOW", "FAST"), help="of raw images (default: square)")
    command.add_argument("--no-browser", action="store_true", help="only say where the page is")
    return command


def say(line: str) -> None:
    """A line on stderr."""
    print(f"{NAME}: {line}", file=sys.stderr, flush=True)


class Album:
    """All images of some sources, counted through."""

    def __init__(self, sources: Sequence[Source], spots: bool):
        self._places = [(source, n) for source in sources for n in range(source.count)]
        self._spots = spots

    def __len__(self) -> int:
        return len(self._places)

    def frame(self, number: int) -> Shown:
        """An image, where it was taken, and its predicted spots."""
        source, n = self._places[number]
        placed = source.placed(n)
        title = f"{source.name}, frame {n}" if source.count > 1 else source.name
        pixels = source.pixels(n)
        if placed is None or placed.reciprocal is None or not self._spots:
            return Shown(pixels, title, placed)
        hkl, spots = near_sphere(placed, math.radians(source.turn_deg(n)) / 2.0)
        return Shown(pixels, title, placed, spots, tuple(" ".join(map(str, index)) for index in hkl.tolist()))


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot be meant."""
    if not NARROWEST <= options.width <= WIDEST:
        raise BadInput(f"--width {options.width}: must be from {NARROWEST} to {WIDEST}")
    if options.across is not None and options.across < 1:
        raise BadInput(f"--across {options.across}: must be 1 or more")
    if options.range and not (np.isfinite(options.range).all() and options.range[1] > options.range[0]):
        raise BadInput(f"--range {options.range[0]:g} {options.range[1]:g}: the second must be above the first")
    if options.shape and min(options.shape) < 1:
        raise BadInput("--shape: must be above 0")
    for flag, target in (("-o", options.output), ("--html", options.html)):
        if target is None:
            continue
        if flag == "-o" and not target.lower().endswith(".png"):
            raise BadInput(f"-o {target}: pictures are PNG: take a name that ends in .png")
        check_writable(target, flag)
        for name in options.file:
            if same_file(target, file_of(name)):
                raise BadInput(f"{flag} {target}: is an image that is read: name another file")


def picture(options: argparse.Namespace, album: Album) -> int:
    """Write a picture of one image, of some side by side, or a contact sheet."""
    if len(album) > MOST_ON_A_SHEET:
        say(f"{len(album)} images: the first {MOST_ON_A_SHEET} are shown")
    images = [album.frame(n) for n in range(min(len(album), MOST_ON_A_SHEET))]
    limits = GreyRange(*options.range) if options.range else None
    crop = tuple(options.crop) if options.crop else None
    rings = not options.no_rings and len(images) <= 2
    look = Look(options.scale, limits, crop, rings, options.width)
    draw(options.output, images, look, options.across or min(len(images), ACROSS if len(images) > 2 else 2))
    print(options.output)
    return 0


def as_page(options: argparse.Namespace, album: Album) -> int:
    """Write a page, or show one in the browser until interrupted."""
    amplitudes = amplitudes_of(options.amplitudes) if options.amplitudes else None
    name = ", ".join(options.file)
    if options.html:
        if len(album) > MOST_IN_A_PAGE:
            say(f"{len(album)} images: the first {MOST_IN_A_PAGE} are shown")
        frames = [album.frame(n) for n in range(min(len(album), MOST_IN_A_PAGE))]
        text = page(frames, len(frames), name, amplitudes, embed=True)
        with whole_file(options.html, "--html") as file:
            file.write(text.encode())
        print(options.html)
        return 0
    own_server, address = server(
        page([album.frame(0)], len(album), name, amplitudes, embed=False), len(album), album.frame
    )
    print(address, flush=True)
    if not options.no_browser and not webbrowser.open(address):
        say("no browser was found here: open the address above in one on this machine")
    say("ends with Ctrl-C")
    try:
        own_server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        own_server.server_close()
    return 0


def amplitudes_of(name: str) -> StructureFactors:
    """Amplitudes of an hkl file or a dump."""
    try:
        return read_any_table(name, silent)
    except BadInput as error:
        said = str(error).partition(f" {name}: ")[2].partition(": take --structure")[0]
        raise BadInput(f"--amplitudes {name}: {said} (nb-hkl makes one)") from None
    except OSError as error:
        raise BadInput(f"--amplitudes {name}: {error.strerror or error}") from None


def run(options: argparse.Namespace) -> int:
    """Open the images, and show them."""
    check(options)
    shape = tuple(options.shape) if options.shape else None
    album = Album([source_of(name, shape) for name in options.file], options.spots or options.output is None)
    return picture(options, album) if options.output else as_page(options, album)


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return carried_out(parser(), run, line)


if __name__ == "__main__":
    sys.exit(main())
