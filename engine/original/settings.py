"""What was asked for, in the user's terms, after headers and flags."""

from __future__ import annotations

import dataclasses

from nanobragg.engine.model.beam import FLUENCE
from nanobragg.engine.original.quirks import NONE, Fixes
from nanobragg.kernels.vectors import Vector

# Settings that say where the detector is and what it is, and what NXmx says once for all frames of a file.
OF_DETECTOR = frozenset(
    "ORGX ORGY Xbeam Ybeam Xclose Yclose adc beam beamsize close_distance convention curved det_f det_s distance "
    "exposure fdet img_file mu n_f n_s odet pivot pix0 pixel point_pixel polar roi_x0 roi_x1 roi_y0 roi_y1 rot_x "
    "rot_y rot_z sdet source_file spindle stol_file stolout_file thick thick_steps tt_axis twotheta".split()
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Every setting of the command, in metres, radians and seconds; ``None`` where unset.

    Counts, ranges and steps below zero mean "not given" as well, since the original's rules for choosing them test
    the sign. Defaults are the original's. `engine.original.set_up` turns settings into what is simulated.
    """

    # beam
    lambda0: float = 1.0e-10
    dispersion: float = 0.0
    disp_step: float = -1.0
    disp_steps: int = -1
    hdiv: float = -1.0
    hdiv_step: float = -1.0
    hdiv_steps: int = -1
    vdiv: float = -1.0
    vdiv_step: float = -1.0
    vdiv_steps: int = -1
    round_div: bool = True
    fluence: float = FLUENCE
    flux: float = 0.0
    exposure: float = 1.0
    beamsize: float = 1e-4
    kahn: float = 0.0
    nopolar: bool = False
    source_file: str | None = None

    # detector
    pixel: float = 0.1e-3
    n_f: int = 0
    n_s: int = 0
    det_f: float = 102.4e-3
    det_s: float = 102.4e-3
    distance: float = 100.0e-3
    close_distance: float | None = None
    Xbeam: float | None = None
    Ybeam: float | None = None
    Xclose: float | None = None
    Yclose: float | None = None
    ORGX: float | None = None
    ORGY: float | None = None
    convention: str = "MOSFLM"
    pivot: str = "BEAM"
    beam: Vector = (1.0, 0.0, 0.0)
    fdet: Vector = (0.0, 0.0, 1.0)
    sdet: Vector = (0.0, -1.0, 0.0)
    odet: Vector = (1.0, 0.0, 0.0)
    pix0: Vector = (0.0, 0.0, 0.0)
    tt_axis: Vector = (0.0, 1.0, 0.0)
    polar: Vector = (0.0, 0.0, 1.0)
    spindle: Vector = (0.0, 0.0, 1.0)
    rot_x: float = 0.0
    rot_y: float = 0.0
    rot_z: float = 0.0
    twotheta: float = 0.0
    thick: float = 0.0
    thick_step: float = -1.0
    thick_steps: int = -1
    mu: float = -1.0
    sensor_material: str = "Si"
    saturation: float = 0.0  # the most that a pixel counts; 0: as much as the file's numbers hold
    curved: bool = False
    point_pixel: bool = False
    oversample: int = -1
    over_thick: bool = False
    over_polar: bool = False
    over_omega: bool = False
    roi_x0: int = -1
    roi_x1: int = -1
    roi_y0: int = -1
    roi_y1: int = -1
    mask_file: str | None = None
    img_file: str | None = None

    # crystal
    N_a: float = 1.0
    N_b: float = 1.0
    N_c: float = 1.0
    size_x: float = 0.0
    size_y: float = 0.0
    size_z: float = 0.0
    density: float = 1.0e6
    MW: float = 18.0
    shape: str = "square"
    fudge: float = 1.0
    user_cell: bool = False
    cell_a: float = 0.0
    cell_b: float = 0.0
    cell_c: float = 0.0
    cell_alpha: float = 0.0
    cell_beta: float = 0.0
    cell_gamma: float = 0.0
    mat_file: str | None = None
    misset_mode: int = 0
    misset_x: float = 0.0
    misset_y: float = 0.0
    misset_z: float = 0.0
    mosaic: float = -1.0
    domains: int = -1
    water: float = 0.0

    # scan
    phi0: float = 0.0
    osc: float = -1.0
    phistep: float = -1.0
    phisteps: int = -1

    # structure factors
    hkl_file: str | None = None
    dump_file: str = "Fdump.bin"
    default_F: float = 0.0
    dmin: float = 0.0
    interp: int = 2
    stol_file: str | None = None
    stol_mult: float = 1.0e10
    stolout_file: str = "output.stol"

    # random numbers
    seed: int = 0
    mosaic_seed: int = -12345678
    misset_seed: int = 0

    # output
    float_file: str = "floatimage.bin"
    int_file: str = "intimage.img"
    pgm_file: str = "image.pgm"
    noise_file: str = "noiseimage.img"
    int_scale: float = 0.0
    pgm_scale: float = 0.0
    adc: float = 40.0
    write_pgm: bool = True
    do_noise: bool = True
    progress: bool = True
    printout: bool = False
    print_f: int = -1
    print_s: int = -1
    coherent: bool = False

    # the original's oddities that are computed right instead
    fixes: Fixes = NONE
    # settings that a flag has set, and the flags that did
    given: frozenset[str] = frozenset()
