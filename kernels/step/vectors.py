"""Vectors of three numbers, for kernels: the functions of `nanobragg.kernels.vectors`, compiled into every step."""

from nanobragg.kernels import vectors
from nanobragg.kernels.compiling.decorators import scalar, separate

dot = scalar(vectors.dot)
cross = scalar(vectors.cross)
magnitude = scalar(vectors.magnitude)
unit = scalar(vectors.unit)
rotate_axis = separate(vectors.rotate_axis)
rotate_matrix = scalar(vectors.rotate_matrix)
