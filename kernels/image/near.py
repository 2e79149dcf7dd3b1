"""Indices whose nodes are near the Ewald sphere, or pass it between two orientations: a loop over a box of them."""

from __future__ import annotations

import math

from nanobragg.kernels.compiling.decorators import kernel, scalar

WIDTHS = 4.0  # of a node, standard deviations, from which on it is far away


@scalar
def node(recip, h, k, x):
    """The reciprocal vector of an index."""
    return (
        h * recip[0, 0] + k * recip[1, 0] + x * recip[2, 0],
        h * recip[0, 1] + k * recip[1, 1] + x * recip[2, 1],
        h * recip[0, 2] + k * recip[1, 2] + x * recip[2, 2],
    )


@scalar
def excitation(q, beam, per_length):
    """How far a node is outside the Ewald sphere, whose radius is ``per_length``."""
    x, y, z = q[0] + per_length * beam[0], q[1] + per_length * beam[1], q[2] + per_length * beam[2]
    return math.sqrt(x * x + y * y + z * z) - per_length


@kernel
def list_near(first, last, beam, per_length, longest, reach, width, found):
    """Write the indices of nodes that are near into ``found`` (n, 3), as far as there is room; returns their number.

    ``first`` and ``last`` are a*, b*, c* as rows in two orientations; ``width`` squared is the sum of its three numbers
    times 1, |q|^2 and |q|^4.
    """
    count = 0
    for h in range(-reach[0], reach[0] + 1):
        for k in range(-reach[1], reach[1] + 1):
            for x in range(-reach[2], reach[2] + 1):
                q = node(first, h, k, x)
                squared = q[0] * q[0] + q[1] * q[1] + q[2] * q[2]
                if squared > longest * longest or squared < 1e-12:
                    continue
                limit = WIDTHS * math.sqrt(width[0] + width[1] * squared + width[2] * squared * squared)
                begin = excitation(q, beam, per_length)
                end = excitation(node(last, h, k, x), beam, per_length)
                if min(begin, end) > limit or max(begin, end) < -limit:
                    continue
                if count < len(found):
                    found[count, 0], found[count, 1], found[count, 2] = h, k, x
                count += 1
    return count
