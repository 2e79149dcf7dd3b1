"""How the modules of detectors of many panels stand in their frame: nominally, at right angles and in one plane.

Millimetres from the first corner of the frame. Real ones are off by fractions of a millimetre and of a degree:
``--geometry`` reads where those of a beam line are.
"""

from __future__ import annotations

from nanobragg.engine.model.panels import Group, Panel

TURNS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))  # quarter turns, as cosines and sines


def in_rows(
    rows: int, columns: int, module: tuple[int, int], gap: tuple[int, int], pixel_mm: float
) -> tuple[Panel, ...]:
    """Modules (slow, fast pixels) in rows and columns, ``gap`` pixels apart."""
    pitch = [(size + between) * pixel_mm for size, between in zip(module, gap, strict=True)]
    return tuple(
        Panel(module, origin_mm=(column * pitch[1], row * pitch[0], 0.0), name=f"module {row * columns + column:02d}")
        for row in range(rows)
        for column in range(columns)
    )


def size_of_pinwheel(block: tuple[int, int], gap: int) -> tuple[int, int]:
    """Pixels (slow, fast) of the frame of four blocks (slow, fast pixels) that are turned about one another."""
    edge = sum(block) + 2 * gap
    return edge, edge


def in_pinwheel(
    quadrant: tuple[Panel | Group, ...], block: tuple[int, int], gap: int, pixel_mm: float
) -> tuple[Group, ...]:
    """Four quadrants, each a quarter turn from the one before it, around a square hole.

    ``block`` are the pixels (slow, fast) that a quadrant takes, ``gap`` those between two.
    """
    slow, fast = (size + gap for size in block)
    half, middle = (fast - slow) / 2.0, (slow + fast) / 2.0
    corner = (gap / 2.0 - half, gap / 2.0 - half - slow)
    made = []
    for number, (c, s) in enumerate(TURNS):
        at = (middle + c * corner[0] - s * corner[1], middle + s * corner[0] + c * corner[1])
        origin = (at[0] * pixel_mm, at[1] * pixel_mm, 0.0)
        made.append(Group(quadrant, (c, s, 0.0), (-s, c, 0.0), origin, f"quadrant {number}"))
    return tuple(made)


def agipd_modules(
    modules: int, asics: int, asic: tuple[int, int], apart: int, pitch: int, pixel_mm: float
) -> tuple[Group, ...]:
    """Modules one above the other, each a row of ASICs (slow, fast pixels) along their slow axis."""
    slow, fast = asic
    made = []
    for module in range(modules):
        panels = tuple(
            Panel(
                asic, (0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (number * (slow + apart) * pixel_mm, fast * pixel_mm, 0.0),
                f"m{module}a{number}",
            )
            for number in range(asics)
        )  # fmt: skip
        made.append(Group(panels, origin_mm=(0.0, module * pitch * pixel_mm, 0.0), name=f"module {module}"))
    return tuple(made)
