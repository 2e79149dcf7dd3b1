"""What is right, said once more and plainly: an image by direct summation with numpy, no function of ours in it."""

import functools

import numpy as np

WATER = 2.57**2 * 1e6 * 6.02214179e23 / 18.0


@functools.lru_cache
def mean_depth(thickness, mu):
    """Where the photons of a layer are absorbed on average behind its front, by adding up a million thin ones."""
    if not (thickness > 0.0 and mu > 0.0):
        return 0.0
    z = (np.arange(1_000_000) + 0.5) * (thickness / 1_000_000)
    absorbed = np.exp(-mu * z)
    return float((z * absorbed).sum() / absorbed.sum())


def turned(vectors, axis, angle):
    """Rodrigues' rotation of rows."""
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return vectors @ (np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k).T


def lattice(e, dh):
    n = np.array(e.crystal.n_cells)
    rho2 = ((dh * n) ** 2).sum()
    if e.crystal.shape == "square":
        with np.errstate(all="ignore"):
            ratios = np.where(np.abs(dh) < 1e-9, n, np.sin(np.pi * n * dh) / np.sin(np.pi * dh))
        return ratios.prod()
    if e.crystal.shape == "round":
        x = np.pi * np.sqrt(rho2 * e.crystal.fudge)
        form = 1.0 if x < 1e-6 else 3.0 * (np.sin(x) / x - np.cos(x)) / x**2
        return n.prod() * 0.723601254558268 * form
    if e.crystal.shape == "gauss":
        return n.prod() * np.exp(-rho2 / 0.63 * e.crystal.fudge)
    return n.prod() * float(rho2 * e.crystal.fudge < 0.3969)


def cubic(points, t):
    """Lagrange through -1, 0, 1, 2."""
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    return sum(y * np.prod([(t - b) / (a - b) for b in x if b != a]) for a, y in zip(x, points, strict=True))


def amplitude(e, hkl):
    low, high = e.factors.bounds.T
    table = e.factors.table
    if e.interpolate:
        first = np.floor(hkl).astype(int) - 1
        if ((hkl - low + 3 <= high - low + 1) & (hkl - 2 >= low)).all():
            i, j, k = first - low.astype(int)
            block = table[i : i + 4, j : j + 4, k : k + 4]
            t = hkl - np.floor(hkl)
            return cubic([cubic([cubic(row, t[2]) for row in plane], t[1]) for plane in block], t[0])
    node = np.rint(hkl)
    if e.factors.n_hkl and (node >= low).all() and (node <= high).all():
        return table[tuple((node - low).astype(int))]
    return e.factors.default_F


def image(e):
    """Photons per pixel, (slow, fast) binary64, of everything computed right."""
    d, s, b, place = e.detector, e.settings, e.beam, e.detector.panel
    fdet, sdet, odet, beam = (np.array(v) for v in (place.fdet, place.sdet, place.odet, b.direction))
    n, layers = e.oversample, d.layers
    out = np.zeros((d.n_slow, d.n_fast))
    weights = b.given_weights / b.given_weights.sum()
    water = WATER * s.water**3
    axis = np.array(b.polar) / np.linalg.norm(b.polar)
    spindle = np.array(e.scan.spindle)
    cells = []
    for i in range(e.scan.steps):
        half = 0.5 if e.scan.osc > 0.0 else 0.0
        turned_cell = turned(np.array(e.crystal.real), spindle, e.scan.phi0 + (i + half) * e.scan.step)
        for rotation in e.crystal.rotations:
            cells.append(turned_cell @ rotation.reshape(3, 3).T)
    for slow in range(d.n_slow):
        for fast in range(d.n_fast):
            total = 0.0
            for layer in range(layers):
                for sub in range(n * n):
                    f = d.pixel_size * (fast + (sub % n + 0.5) / n)
                    g = d.pixel_size * (slow + (sub // n + 0.5) / n)
                    depth = layer * d.layer_step
                    if d.curved:
                        alpha, beta = (f - place.Fbeam) / place.distance, (g - place.Sbeam) / place.distance
                        point = (place.distance + depth) * (
                            np.cos(beta) * (np.cos(alpha) * beam + np.sin(alpha) * fdet) + np.sin(beta) * sdet
                        )
                    else:
                        stands = depth + mean_depth(d.layer_step, d.mu)
                        point = np.array(place.pix0) + f * fdet + g * sdet + stands * odet
                    air = np.linalg.norm(point)
                    u = point / air
                    omega = d.pixel_size**2 / air**2
                    if not (d.curved or d.point_pixel):
                        omega *= (place.close_distance + mean_depth(d.layer_step, d.mu)) / air
                    capture = 1.0
                    if d.thickness > 0.0:
                        cosine = 1.0 if d.curved else u @ odet
                        capture = np.exp(-depth * d.mu / cosine) - np.exp(-(depth + d.layer_step) * d.mu / cosine)
                    for source, wavelength, w in zip(b.directions, b.wavelengths, weights, strict=True):
                        polar = 1.0
                        if not b.polarization_left_out:
                            c2 = (-source @ u) ** 2
                            across = np.cross(axis, -source)
                            across /= np.linalg.norm(across)
                            along = np.cross(-source, across)
                            psi = np.arctan2(u @ across, u @ along)
                            polar = 0.5 * (1 + c2 - b.kahn * np.cos(2 * psi) * (1 - c2))
                        factors = omega * capture * polar
                        total += water * factors / len(b.directions) / n**2
                        q = (u + source) / wavelength
                        if s.dmin > 0.0 and np.linalg.norm(q) > 0.0 and 1.0 / np.linalg.norm(q) < s.dmin:
                            continue
                        terms = 0.0
                        for cell in cells:
                            hkl = cell @ q
                            terms += (amplitude(e, hkl) * lattice(e, hkl - np.rint(hkl))) ** 2
                        total += terms / len(cells) * w * factors / n**2
            out[slow, fast] = total * 7.94079248018965e-30 * b.fluence
    return out
