"""Minimax polynomials of the fast kernels, by a Remez exchange in 60-digit arithmetic.

    python benchmarks/minimax.py        prints kernels/step/polynomials.py's coefficients and their errors

Needs mpmath.
"""

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 60


def remez(target: Callable, weight: Callable, degree: int, low, high) -> tuple[list, object]:
    """Coefficients (constant first) of the polynomial p that minimises max |weight (p - target)|, and that maximum."""
    n = degree + 2
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (n - 1 - i) / (n - 1)) for i in range(n)]
    for _ in range(12):
        matrix = mp.matrix(n, n)
        right = mp.matrix(n, 1)
        for i, x in enumerate(nodes):
            for k in range(degree + 1):
                matrix[i, k] = x**k
            matrix[i, degree + 1] = (-1) ** i / weight(x)
            right[i] = target(x)
        solution = mp.lu_solve(matrix, right)
        coefficients = [solution[k] for k in range(degree + 1)]

        def error(x, c=coefficients):
            return weight(x) * (sum(a * x**k for k, a in enumerate(c)) - target(x))

        nodes, worst = _extrema(error, nodes, low, high)
    return coefficients, worst


def _extrema(error: Callable, nodes: list, low, high) -> tuple[list, object]:
    """The largest error between each pair of sign changes of the error."""
    samples = 40 * len(nodes)
    points = [low + (high - low) * (1 - mp.cos(mp.pi * i / samples)) / 2 for i in range(samples + 1)]
    values = [error(x) for x in points]
    found, best = [], 0
    for i in range(1, len(points)):
        if values[i] * values[best] < 0:
            found.append(points[best])
            best = i
        elif abs(values[i]) > abs(values[best]):
            best = i
    found.append(points[best])
    worst = max(abs(v) for v in values)
    return (found if len(found) == len(nodes) else nodes), worst


def sine(degree: int) -> tuple[list, object]:
    """P of sin(pi t) = t P(t^2), |t| <= 1/2; relative error."""

    def target(z):
        return mp.pi if z == 0 else mp.sin(mp.pi * mp.sqrt(z)) / mp.sqrt(z)

    return remez(target, lambda z: 1 / target(z), degree, mp.mpf(0), mp.mpf(1) / 4)


def cosine(degree: int) -> tuple[list, object]:
    """Q of cos(pi t) = Q(t^2), |t| <= 1/2; absolute error."""
    return remez(lambda z: mp.cos(mp.pi * mp.sqrt(z)), lambda z: mp.mpf(1), degree, mp.mpf(0), mp.mpf(1) / 4)


def sphere(degree: int, largest: object) -> tuple[list, object]:
    """R of 3 (sin x/x - cos x)/x^2 = R(rho^2), x = pi rho, rho <= ``largest``; relative error."""

    def target(z):
        x = mp.pi * mp.sqrt(z)
        if x < mp.mpf(10) ** -8:
            return 1 - x * x / 10
        return 3 * (mp.sin(x) / x - mp.cos(x)) / (x * x)

    return remez(target, lambda z: 1 / target(z), degree, mp.mpf(0), largest**2)


def main() -> None:
    for name, (coefficients, worst) in {
        "SINE": sine(6),
        "SINE_SINGLE": sine(4),
        "COSINE": cosine(7),
        "SPHERE": sphere(7, mp.mpf(3) / 4),
    }.items():
        print(f"{name} = (  # error {mp.nstr(worst, 3)}")
        for c in coefficients:
            print(f"    {float(c)!r},")
        print(")")


if __name__ == "__main__":
    main()
