"""What DIALS makes of our files, as JSON on stdout; run by the Python that DIALS belongs to.

dials_reads.py geometry FILE...      what dxtbx's readers find in images or .expt files
dials_reads.py panels FILE...        every panel of them, with beam, goniometer, scan and crystal; no image is read
dials_reads.py spots FILE.expt       spots found on the images, against those predicted from the true crystals
dials_reads.py crystals FILE.expt    the cell vectors of all crystals
dials_reads.py spectra FILE.h5       the spectrum of each image
dials_reads.py write FILE.expt       writes an experiment of dxtbx's own making: groups in groups, three axes, a crystal
"""

import json
import sys

import numpy as np
from dxtbx.model.experiment_list import ExperimentListFactory


def experiments_of(names):
    if names[0].endswith(".expt"):
        return ExperimentListFactory.from_json_file(names[0], check_format=True)
    return ExperimentListFactory.from_filenames(names)


def total(read, images):
    return float(sum(np.asarray(read(k)[0].as_double().as_numpy_array()).sum() for k in range(len(images))))


def geometry(names):
    found = []
    for experiment in experiments_of(names):
        panel = experiment.detector[0]
        (fast, slow), size = panel.get_image_size(), panel.get_pixel_size()[0]
        places = [(0, 0), (fast, 0), (0, slow), (fast, slow), (fast // 3, slow // 2)]
        places = [(x * size, y * size) for x, y in places]  # millimetres on the panel: no parallax
        made = {
            "corners": [panel.get_lab_coord(place) for place in places],
            "beam": experiment.beam.get_unit_s0(),
            "wavelength": experiment.beam.get_wavelength(),
            "fraction": experiment.beam.get_polarization_fraction(),
            "normal": experiment.beam.get_polarization_normal(),
            "thickness": panel.get_thickness(),
            "trusted": panel.get_trusted_range(),
            "images": len(experiment.imageset),
            "sum": total(experiment.imageset.get_raw_data, experiment.imageset),
            "sum_without_offset": total(experiment.imageset.get_corrected_data, experiment.imageset),
        }  # fmt: skip
        if experiment.scan is not None:
            made["oscillation"] = experiment.scan.get_oscillation()
            made["array_range"] = experiment.scan.get_array_range()
            made["axis"] = experiment.goniometer.get_rotation_axis()
        if experiment.crystal is not None:
            made["cell"] = experiment.crystal.get_unit_cell().parameters()
        found.append(made)
    return found


def spots(names):
    from dials.algorithms.spot_prediction import ScanStaticReflectionPredictor
    from dials.array_family import flex
    from dials.command_line.find_spots import phil_scope
    from libtbx.phil import parse

    params = phil_scope.fetch(parse("spotfinder.mp.nproc=1\nspotfinder.filter.min_spot_size=3")).extract()
    experiments = experiments_of(names)
    found = flex.reflection_table.from_observations(experiments, params)
    rows = []
    for number, experiment in enumerate(experiments):
        mine = found.select(found["id"] == number)
        seen = np.array(mine["xyzobs.px.value"])
        if experiment.scan is None:
            meant = nearest_nodes(experiment, seen, np.array(mine["panel"]))
        else:
            predictor = ScanStaticReflectionPredictor(experiment, dmin=1.0, margin=1)
            meant = np.array(predictor.for_ub(experiment.crystal.get_A())["xyzcal.px"])
        centre = experiment.detector[0].get_beam_centre_px(experiment.beam.get_s0())
        rows.append(matched(seen, meant, np.array(centre), experiment.scan is not None))
    return rows


def nearest_nodes(experiment, seen, panels):
    """Where the nodes are seen that are nearest to spots of a still: the way that their scattered rays have."""
    s0 = np.array(experiment.beam.get_s0())
    a_matrix = np.array(experiment.crystal.get_A()).reshape(3, 3)
    made = []
    for (x, y, z), number in zip(seen, panels, strict=True):
        panel = experiment.detector[int(number)]
        ray = np.array(panel.get_lab_coord(panel.pixel_to_millimeter((x, y))))
        q = ray / np.linalg.norm(ray) * np.linalg.norm(s0) - s0
        node = np.rint(np.linalg.solve(a_matrix, q))
        s1 = s0 + a_matrix @ node
        made.append([*panel.get_ray_intersection_px(s1), z])
    return np.array(made)


def matched(seen, meant, centre, turns):
    """Found minus predicted, of the spots that have a predicted one within two pixels (and 1.5 images): medians.

    ``outwards`` is the median away from the beam of the outer half of them, where the depth of a sensor shows.
    """
    apart, radii, outwards = [], [], []
    for spot in seen:
        off = spot - meant
        if not turns:
            off[:, 2] = 0.0
        near = off[(np.abs(off[:, 2]) < 1.5) & (np.hypot(off[:, 0], off[:, 1]) < 2.0)]
        if len(near):
            apart.append(near[np.argmin(np.hypot(near[:, 0], near[:, 1]))])
            away = spot[:2] - centre
            radii.append(np.hypot(*away))
            outwards.append(apart[-1][:2] @ away / radii[-1])
    outer = np.array(outwards)[np.array(radii) >= np.median(radii)] if radii else []
    return {
        "found": len(seen), "matched": len(apart), "predicted": len(meant),
        "median": np.median(apart, axis=0).tolist() if apart else None,
        "outwards": float(np.median(outer)) if len(outer) else None,
    }  # fmt: skip


def crystal(names):
    """Cell vectors (rows, Angstrom) of the first crystal, and how many of the strong spots of a table are indexed."""
    from dials.array_family import flex

    experiment = ExperimentListFactory.from_json_file(names[0], check_format=False)[0]
    real = np.linalg.inv(np.array(experiment.crystal.get_A()).reshape(3, 3))
    made = {"real": real.tolist(), "cell": experiment.crystal.get_unit_cell().parameters()}
    if len(names) > 1:
        table = flex.reflection_table.from_file(names[1])
        made["indexed"] = int(table.get_flags(table.flags.indexed).count(True))
        made["strong"] = len(table)
    return made


def panels(names):
    """Points of each panel in the laboratory, millimetres, and all that an experiment has beside."""
    found = []
    for name in names:
        if name.endswith(".expt"):
            experiments = ExperimentListFactory.from_json_file(name, check_format=False)
        else:
            experiments = experiments_of([name])
        for experiment in experiments:
            of_panels = []
            for panel in experiment.detector:
                (fast, slow), size = panel.get_image_size(), panel.get_pixel_size()[0]
                places = [(0, 0), (fast, 0), (0, slow), (fast, slow), (fast // 3, slow // 2)]
                of_panels.append([panel.get_lab_coord((x * size, y * size)) for x, y in places])
            panel = experiment.detector[0]
            made = {
                "corners": of_panels, "sizes": [p.get_image_size() for p in experiment.detector],
                "pixel": panel.get_pixel_size()[0], "trusted": panel.get_trusted_range(), "mu": panel.get_mu(),
                "thickness": panel.get_thickness(), "material": panel.get_material(),
                "masked": [list(p.get_mask()) for p in experiment.detector],
                "beam": experiment.beam.get_unit_s0(), "wavelength": experiment.beam.get_wavelength(),
                "fraction": experiment.beam.get_polarization_fraction(),
                "normal": experiment.beam.get_polarization_normal(),
            }  # fmt: skip
            if experiment.goniometer is not None and experiment.scan is not None:
                gonio, scan = experiment.goniometer, experiment.scan
                setting = np.array(gonio.get_setting_rotation()).reshape(3, 3)
                made["axis"] = list(gonio.get_rotation_axis())  # turned by the setting already
                made["oscillation"] = scan.get_oscillation()
            if experiment.crystal is not None:
                a_matrix = np.array(experiment.crystal.get_A()).reshape(3, 3)
                if "axis" in made:
                    a_matrix = setting @ np.array(gonio.get_fixed_rotation()).reshape(3, 3) @ a_matrix
                made["A"] = a_matrix.tolist()
            found.append(made)
    return found


def masks(names):
    """Of each panel of the first image: how many pixels are trusted, and the sum of their counts."""
    found = []
    for name in names:
        imageset = experiments_of([name])[0].imageset
        trusted = [mask.as_numpy_array() for mask in imageset.get_mask(0)]
        counts = [np.asarray(part.as_double().as_numpy_array()) for part in imageset.get_raw_data(0)]
        sums = [float(part[kept].sum()) for part, kept in zip(counts, trusted, strict=True)]
        found.append({"kept": [int(mask.sum()) for mask in trusted], "sums": sums})
    return found


def crystals(names):
    """Cell vectors (rows, Angstrom) of all crystals."""
    experiments = ExperimentListFactory.from_json_file(names[0], check_format=False)
    return [
        {"real": np.linalg.inv(np.array(e.crystal.get_A()).reshape(3, 3)).tolist()} for e in experiments if e.crystal
    ]


def spectra(names):
    """Energies (eV) and weights of each image, and its wavelength, by dxtbx's reader of NeXus beams."""
    import h5py
    from dxtbx.format.nexus import BeamFactory, NXbeam

    with h5py.File(names[0]) as file:
        found = []
        for image in range(len(file["entry/data/data"])):
            beam, spectrum = BeamFactory(NXbeam(file["entry/instrument/beam"])).read_models(image)
            energies, weights = list(spectrum.get_energies_eV()), list(spectrum.get_weights())
            found.append({"energies": energies, "weights": weights, "wavelength": beam.get_wavelength()})
    return found


def write(names):
    """An experiment with all that an .expt can say."""
    from dxtbx.model import Beam, Crystal, Detector, Experiment, ExperimentList, GoniometerFactory, ScanFactory
    from scitbx.array_family import flex

    detector = Detector()
    root = detector.hierarchy()
    root.set_local_frame((0.6, 0.8, 0), (0.48, -0.36, -0.8), (1, 2, -150))
    quadrants = [root.add_group() for _ in range(2)]
    quadrants[0].set_local_frame((0, 1, 0), (-1, 0, 0), (3, 4, 5))
    quadrants[1].set_local_frame((1, 0, 0), (0, 0.8, 0.6), (-13, -4, 5))
    for number, group in enumerate((*quadrants, *quadrants)):
        panel = group.add_panel()
        panel.set_local_frame((1, 0, 0), (0, 1, 0), (7 - 9 * (number // 2), 8, 0.1 * number))
        panel.set_name(f"p{number}")
        panel.set_image_size((60, 40))
        panel.set_pixel_size((0.1, 0.1))
        panel.set_trusted_range((-1, 65000))
        panel.set_thickness(0.32)
        panel.set_material("Si")
        panel.set_mu(3.95)
    detector[2].add_mask(1, 2, 5, 6)
    axes = flex.vec3_double([(1, 0, 0), (0, 1, 0), (0.28, 0.96, 0)])
    gonio = GoniometerFactory.multi_axis(axes, flex.double([10, 20, 30]), flex.std_string(["phi", "chi", "omega"]), 1)
    crystal = Crystal((40, 1, 2), (3, 50, 1), (1, 2, 60), "P 1")
    scan = ScanFactory.make_scan((1, 10), 0.1, (5.0, 0.5), {n: float(n) for n in range(10)})
    beam = Beam((0.01, 0.002, 1), 1.1)
    beam.set_polarization_fraction(0.9)
    one = Experiment(detector=detector, beam=beam, goniometer=gonio, scan=scan, crystal=crystal)
    ExperimentList([one]).as_json(names[0])
    return [{}]


FORMS = {
    "geometry": geometry, "spots": spots, "crystal": crystal, "panels": panels, "crystals": crystals, "spectra": spectra, "masks": masks,
    "write": write,
}  # fmt: skip
json.dump(FORMS[sys.argv[1]](sys.argv[2:]), sys.stdout)
