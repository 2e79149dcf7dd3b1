"""Every tolerance of the tests, and why it is what it is."""

# Figures recorded with glibc's sin, cos, exp ... can only be met bit by bit by a library that gives the same last
# bits. Where a probe shows that this machine's does not, float images may differ by this much of the maximum.
OTHER_LIBM = 1e-12

# traces.json was printed with 15 significant digits; one unit of the last of 14 is what survives reading it back.
TRACE_DIGITS = 1e-14

# The reference figures of set-up were printed with 17 digits: exact.
SETUP = 0.0

# Figures that the original reports with %g.
REPORTED = 5e-6
