"""Makes engine/detectors/sensor_table.py and engine/matter/gas_table.py: attenuation from xraydb (Elam's tables).

pip install xraydb && python benchmarks/sensor_table.py > engine/detectors/sensor_table.py
python benchmarks/sensor_table.py gases > engine/matter/gas_table.py
"""

import sys

import numpy as np
import xraydb

MATERIALS = {"Si": 2.329, "CdTe": 5.85, "GaAs": 5.318}
GASES = {"nitrogen": ("N2", 1.165e-3), "air": ("N2", 1.2e-3), "helium": ("He", 1.66e-4)}
ATOMS = {"Si": ["Si"], "CdTe": ["Cd", "Te"], "GaAs": ["Ga", "As"]}
FIRST_EV, LAST_EV, STEP = 2000.0, 150_000.0, 0.06


def energies(material):
    """A logarithmic grid, with a point on each side of every edge."""
    grid = list(np.exp(np.arange(np.log(FIRST_EV), np.log(LAST_EV) + STEP, STEP)))
    for atom in ATOMS[material]:
        for edge in xraydb.xray_edges(atom).values():
            if FIRST_EV < edge.energy < LAST_EV:  # the table's own jump is some eV from it
                near = np.arange(edge.energy - 40.0, edge.energy + 40.0, 0.5)
                at = int(np.argmax(np.diff(xraydb.material_mu(material, near, density=1.0))))
                grid += [near[at], near[at + 1]]
    return np.array(sorted(grid))


def main():
    print('"""Attenuation of sensor materials, 1/mm, by photon energy, eV; made by benchmarks/sensor_table.py."""\n')
    print("# fmt: off\nTABLE = {")
    for material, density in MATERIALS.items():
        e = energies(material)
        mu = xraydb.material_mu(material, e, density=density) / 10.0
        print(f'    "{material}": (')
        for name, values in (("eV", [f"{x:.1f}" for x in e]), ("1/mm", [f"{x:.5g}" for x in mu])):
            print("        (" + f"  # {name}")
            for k in range(0, len(values), 11):
                print("            " + ", ".join(values[k : k + 11]) + ",")
            print("        ),")
        print("    ),")
    print("}")


def gases():
    e = np.exp(np.arange(np.log(FIRST_EV), np.log(LAST_EV) + 3 * STEP, 3 * STEP))
    print('"""Attenuation of gases, 1/m, by photon energy, eV; made by benchmarks/sensor_table.py."""\n')
    print("# fmt: off\nGASES = {")
    for name, (formula, density) in GASES.items():
        mu = xraydb.material_mu(formula, e, density=density) * 100.0
        print(f'    "{name}": (')
        for values in ([f"{x:.1f}" for x in e], [f"{x:.5g}" for x in mu]):
            print("        (")
            for k in range(0, len(values), 9):
                print("            " + ", ".join(values[k : k + 9]) + ",")
            print("        ),")
        print("    ),")
    print("}")


if __name__ == "__main__":
    gases() if sys.argv[1:] == ["gases"] else main()
