"""Figures of a calculation, with labels, units, and where each belongs."""

from __future__ import annotations

from typing import Any, NamedTuple

Vector = tuple[float, ...]
UNITS = {
    "pix0_vector_meters": "m", "pixel_pos_meters": "m", "R_distance_meters": "m", "close_distance_meters": "m",
    "omega_pixel_sr": "sr", "omega_pixel": "sr", "lambda_meters": "m", "lambda_angstroms": "Angstrom",
    "scattering_vec_A_inv": "1/m", "phi_rad": "rad", "rot_a_angstroms": "Angstrom", "rot_b_angstroms": "Angstrom",
    "rot_c_angstroms": "Angstrom", "rot_a_star_A_inv": "1/Angstrom", "rot_b_star_A_inv": "1/Angstrom",
    "rot_c_star_A_inv": "1/Angstrom", "r_e_meters": "m", "r_e_sqr": "m^2", "fluence_photons_per_m2": "1/m^2",
    "I_pixel_final": "photons", "floatimage_accumulated": "photons", "F_cell": "electrons",
}  # fmt: skip


class Figure(NamedTuple):
    """A labelled figure; ``at`` are layer, sub-pixel, source, phi step and domain, as many as it belongs to."""

    label: str
    values: Vector
    at: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The label, with where it belongs in brackets."""
        return f"{self.label}[{','.join(map(str, self.at))}]" if self.at else self.label


def first_only(figures: list[Figure]) -> list[Figure]:
    """Those of the first layer, sub-pixel, source, phi step and domain, and what belongs to the whole pixel."""
    return [Figure(f.label, f.values) for f in figures if not any(f.at)]


def text(figures: list[Figure]) -> str:
    """Lines ``TRACE name = values``, 17 digits."""
    return "".join(f"TRACE {f.name} = {' '.join(f'{v:.17g}' for v in f.values)}\n" for f in figures)


def as_json(figures: list[Figure]) -> list[dict[str, Any]]:
    """The same for machines, with units."""
    keys = ("layer", "sub_pixel", "source", "phi_step", "domain")
    return [
        {
            "label": f.label,
            "values": list(f.values),
            "unit": UNITS.get(f.label, ""),
            **dict(zip(keys, f.at, strict=False)),
        }
        for f in figures
    ]
