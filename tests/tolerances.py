"""Every tolerance of the tests, and why it is what it is."""

# Figures recorded with glibc's sin, cos, exp ... can only be met bit by bit by a library that gives the same last
# bits. Where a probe shows that this machine's does not, float images may differ by this much of the maximum.
OTHER_LIBM = 1e-12

# traces.json was printed with 15 significant digits; one unit of the last of 14 is what survives reading it back.
TRACE_DIGITS = 1e-14

# Lattice factors far from a node are differences of nearly equal sines; strict and fast round them otherwise.
FAST_TRACE_DIGITS = 1e-10

# The reference figures of set-up were printed with 17 digits: exact.
SETUP = 0.0

# Figures that the original reports with %g.
REPORTED = 5e-6

# Fast numerics promise this much of a pixel, or of the image's maximum where a pixel is small, against strict.
FAST_OF_PIXEL = 1e-6
FAST_OF_MAXIMUM = 1e-9

# Lattice factors of the fast kernels: a quotient of six polynomials of 6.2e-14 each, whose errors are at random. Below
# N = 10 or so the original's sines lose less than that; binary32 pixels keep 6e-8.
LATTICE_FACTOR = 6.2e-14 * 6**0.5

# Share of binary32 pixels that come out the same: rounding differs in the last of 53 bits, and 24 are kept.
FAST_IDENTICAL = 0.999

# --precision mixed: a quotient of six binary32 polynomials, each within 1e-7, squared.
MIXED_OF_PIXEL = 2e-6
MIXED_OF_MAXIMUM = 1e-9

# Share of 16-bit integers that may differ, by one: a float32 pixel in the last bit, on the edge of a count.
FAST_INTEGERS = 0.001

# Turning everything changes each coordinate in its last bit; N = 5 multiplies that by the slope of the fringes.
FAST_ROTATED = 1e-11

# Pixels in space as DIALS places them, millimetres: what issue and headers promise.
DIALS_MM = 1e-6

# Spots that DIALS finds against those it predicts from the true crystal, pixels and images: medians of some hundred.
DIALS_SPOTS = 0.03

# The refined crystal of a small rotation against the true one: cell edges (relative), angles and orientation (degrees).
DIALS_CELL = 1e-3
DIALS_CELL_ANGLE = 0.03
DIALS_ORIENTATION = 0.02

# The same by SMV's and CBF's headers, whose numbers have so many digits.
HEADER_DIGITS_MM = 1e-6

# Structure factors by a grid against direct summation: gemmi's grids are binary32, and densities are cut at 1e-6.
DIRECT_SUMMATION = 1e-3  # of F, where that is a tenth of the mean or more
R_OF_ATOMS = 1e-5
# Anomalous differences are small differences of such numbers.
ANOMALOUS_DIFFERENCE = 1e-3
# The solvent's mask by the same rule on grids of the same spacing; what is left is binary32.
R_OF_SOLVENT = 1e-3

# Attenuation between the energies of a table 6 % apart, by its logarithm, edges apart.
ATTENUATION = 2e-3

# Set-up of a model and of a command line are two codes for the same: metres and millimetres, angles through other sums.
SET_UP = 1e-12

# A flat detector cut into panels: the same formula with corners that differ in their last bits, then binary32.
CUT_PANELS = 1e-12
# A rotation of everything by matrices of binary64 turns phases of 9 cells and some hundred indices by 1e-13.
RIGID_MOTION = 1e-6
# Images are binary32: half a last place of the sum and of each part.
SUM_OF_WAVELENGTHS = 3e-7
# Where photons stop on average depends on their energy: 40 um nearer or farther of 10 m, squared.
DEPTH_OF_SENSOR = 2e-5
# A .geom has pixels in so many digits.
GEOM_MM = 1e-6
# An image of what was read of the description of another: matrices and millimetres of 15 digits, in binary32.
AGAIN = 1e-6
# Medians of stills: a spot is a cut through a rocking curve, and pulses of some electronvolts smear it outwards.
SERIAL_SPOTS = 0.15
# Stills fix the turn about axes in the detector's plane by where spots go out: a tenth of a degree is what is reached.
SERIAL_ORIENTATION = 0.15

# The background against a formula in binary64: images are binary32, tables have steps of 0.0004/A between which they are
# linear.
BACKGROUND = 2e-4
# A spectrum's light comes from a table of all its wavelengths, whose steps cut the tops of rings and the bends of other
# tables by 4e-4, or is made for a few of them (5e-4 of the highest value of a table, in places).
BETWEEN_WAVELENGTHS = 5e-4
# F of an azimuthal integration by pyFAI: pixels are rings as wide as themselves, of a curve with a peak.
F_OF_STOL = 5e-3
# What gas scatters, by 12 points along the beam against 100.
GAS = 2e-3
# Sums of kernels: binary32.
KERNEL = 1e-6
# Full rotations against Darwin's formula: partialities below 0.01, and tails of neighbours.
DARWIN = 1e-2
# Predictions against DIALS', pixels and images.
DIALS_PREDICTIONS = 0.05
# Sums of DIALS' integration against theory: scale, and correlation with |F|^2.
DIALS_SCALE = 0.02
DIALS_CORRELATION = 0.999
