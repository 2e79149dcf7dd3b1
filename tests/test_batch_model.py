"""Jobs that describe the model: the images of its experiments, axes of fields, refusals, and a file to start from."""

import json

import h5py
import numpy as np
import pytest

import nanobragg as nb
from nanobragg.cli.batch.command import main
from nanobragg.cli.batch.job_file import read_job
from nanobragg.cli.batch.scenes import Scenes
from nanobragg.engine.batch.job.job import SCHEMA, from_text
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import drawn, render
from tests.batch_support import INPUTS, RANDOM, frames
from tests.support import ROOT, assert_same_image

MODEL = f"""
output = "out"
backend = "strict"
[crystal]
cell = [50, 60, 70, 80, 85, 95]
N = [10, 9, 8]
mosaic_deg = 0.3
mosaic_domains = 3
[factors]
hkl = "{INPUTS}/triclinic.hkl"
[detector]
shape = [60, 64]
pixel_mm = 0.4
distance_mm = 100
[beam]
wavelength_A = 1.0
fluence = 1e28
[sampling]
oversample = 1
"""
WAVES = '\n[[axis]]\nfield = "beam.wavelength_A"\nvalues = [1.0, 1.1, 1.2]\n'


def written(folder, more=RANDOM, model=MODEL, **keys):
    """A job file of a model."""
    lines = [f"{key} = {value if isinstance(value, int) else repr(str(value))}" for key, value in keys.items()]
    (folder / "job.toml").write_text("\n".join(lines) + model + more)
    return folder / "job.toml"


def test_images_are_those_of_the_experiments(tmp_path):
    """By the API, one by one, with the experiment that stands beside each image; and with its noise."""
    path = written(tmp_path, RANDOM + WAVES, seed=5, images=3, images_per_shard=2)
    assert main(["run", str(path), "--no-sheet"]) == 0
    job = read_job(str(path))
    seen = []
    for shard in (0, 1):
        with h5py.File(tmp_path / "out" / f"shard-{shard:06}.h5") as file:
            truth = file["entry/ground_truth"]
            told = [json.loads(text) for text in truth["experiment"].asstr()[()]]
            seeds = truth["seed"][()]
        counts = frames(tmp_path / "out" / f"shard-{shard:06}.h5")
        for tables, seed, image in zip(told, seeds, counts, strict=True):
            assert tables == json.loads(json.dumps(job.tables(len(seen))))
            rendered = nb.render_experiment(nb.Experiment.of_json(tables), backend="strict")
            assert_same_image(image, drawn(rendered, 0.0, -int(seed), 1, np.int32)[0][0])
            seen.append((tables["beam"]["wavelength_A"], tuple(tables["crystal"]["misset_deg"]), int(seed)))
    assert [wave for wave, *_ in seen] == [1.0, 1.1, 1.2] and len({seed for *_, seed in seen}) == 3
    assert len({misset for _, misset, _ in seen}) == 3


@pytest.mark.parametrize("noise", ["none", "original"])
def test_a_model_and_arguments_for_the_same(noise, tmp_path):
    """Images, and the original's noise, as of a job of arguments with all fixed."""
    arguments = (
        f"-cell 50 60 70 80 85 95 -Na 10 -Nb 9 -Nc 8 -mosaic 0.3 -mosaic_domains 3 -hkl {INPUTS}/triclinic.hkl "
        "-detpixels_x 64 -detpixels_y 60 -pixel 0.4 -distance 100 -lambda 1 -fluence 1e28 -oversample 1 --fix all"
    )
    folders = [tmp_path / "model", tmp_path / "arguments"]
    for folder in folders:
        folder.mkdir()
    axis = '\n[[axis]]\nfield = "crystal.misset_deg"\nvalues = [[1, 2, 3], [4, 5, 6]]\n'
    written(folders[0], axis, noise=noise, images=2)
    flagged = axis.replace('field = "crystal.misset_deg"', 'flag = "-misset"')
    model = f'output = "out"\nbackend = "strict"\narguments = "{arguments}"\n'
    written(folders[1], flagged, "\n" + model, noise=noise, images=2)
    made = []
    for folder in folders:
        assert main(["run", str(folder / "job.toml"), "--no-sheet"]) == 0
        made.append(frames(folder / "out" / "shard-000000.h5").astype(float))
    if noise == "none":
        np.testing.assert_allclose(*made, rtol=2e-6, atol=1e-9 * made[1].max())
    else:  # from different generators: corrected physics draws the counts of arguments from seed and place
        assert abs(made[0].sum() / made[1].sum() - 1.0) < 5.0 / np.sqrt(made[1].sum())


def fields_of(path, *names):
    """Values of some fields of all images."""
    job = read_job(str(path))
    return [
        tuple(job.tables(n).get(t, {}).get(f) for t, f in (name.split(".") for name in names))
        for n in range(job.images)
    ]


def test_axes_of_fields(tmp_path):
    table = "beam.wavelength_A,detector.curved,crystal.misset_deg,crystal.shape,detector.model\n"
    (tmp_path / "t.csv").write_text(table + "1.5,true,1 2 3,gauss,Eiger2 1M\n,false,,,\n")
    more = '\n[[axis]]\ntable = "t.csv"\n[[axis]]\nfield = "scan.start_deg"\nstart = 0\nstep = 0.1\n'
    model = MODEL.replace("shape = [60, 64]\npixel_mm = 0.4\n", 'model = "Eiger2 4M"\n')
    found = fields_of(written(tmp_path, more, model), *table.strip().split(","), "scan.start_deg")
    assert found == [(1.5, True, [1, 2, 3], "gauss", "Eiger2 1M", 0), (1.0, False, None, None, "Eiger2 4M", 0.1)]
    more = WAVES + '\n[[axis]]\nfield = "crystal.N"\nvalues = [[5, 6, 7], [8, 9, 10]]\n'
    found = fields_of(written(tmp_path, more, combine="product"), "beam.wavelength_A", "crystal.N")
    assert found == [(wave, n) for wave in (1.0, 1.1, 1.2) for n in ([5, 6, 7], [8, 9, 10])]


def test_one_field_takes_back_another(tmp_path):
    """An axis of energies replaces the wavelength that all images had; lists, texts and tables are what they were."""
    more = """
[[axis]]
field = "beam.energy_eV"
values = [12000, 13000]
[[axis]]
field = "factors.symmetry"
values = ["19", "18"]
[[axis]]
field = "factors.labels"
values = [["FP"], ["F", "SIGF"]]
[[axis]]
field = "factors.structure"
values = ["1a8o.pdb", "other.pdb"]
"""
    text = (ROOT / "examples" / "1a8o.pdb").read_text()
    (tmp_path / "1a8o.pdb").write_text(text)
    cell = next(line for line in text.splitlines() if line.startswith("CRYST1"))
    (tmp_path / "other.pdb").write_text(text.replace(cell, cell.replace(cell[6:15], "   60.000")))
    model = MODEL.replace("cell = [50, 60, 70, 80, 85, 95]\n", "")
    names = ("beam.energy_eV", "beam.wavelength_A", "factors.symmetry", "factors.labels", "factors.hkl")
    found = fields_of(written(tmp_path, more, model), *names)
    assert found == [(12000, None, "19", ["FP"], None), (13000, None, "18", ["F", "SIGF"], None)]
    job = read_job(str(tmp_path / "job.toml"))
    assert [round(job.tables(n)["crystal"]["cell"][0], 1) for n in range(2)] == [round(float(cell[6:15]), 1), 60.0]
    spectra = '\n[[axis]]\nfield = "beam.spectrum"\nvalues = [[[1.0, 1], [1.1, 2]], [[1.2, 1]]]\n'
    waves = [list(Scenes(read_job(str(written(tmp_path, spectra))))(n).beam.wavelengths * 1e10) for n in range(2)]
    np.testing.assert_allclose(waves[0], [1.0, 1.1])
    np.testing.assert_allclose(waves[1], [1.2])


def test_a_crystal_that_turns_is_a_scan(tmp_path):
    turning = '\n[[axis]]\nfield = "scan.start_deg"\nstart = 0\nstep = 0.5\n'
    model = MODEL + "[scan]\nrange_deg = 0.5\nsteps = 2\n"
    job = read_job(str(written(tmp_path, turning, model, images=4)))
    assert job.scan == "rising" and len({job.tables(n)["crystal"]["mosaic_seed"] for n in range(4)}) == 1
    assert read_job(str(written(tmp_path, turning + RANDOM, model, images=4))).scan == "stills"


def test_an_image_depends_on_its_number_alone(tmp_path):
    few = read_job(str(written(tmp_path, images=3)))
    many = read_job(str(written(tmp_path, images=300, images_per_shard=7)))
    assert [few.tables(n) for n in range(3)] == [many.tables(n) for n in range(3)]
    kept = Scenes(many)
    for number in (2, 0, 1, 2):
        images = [render(plan_of(scenes(number)), "strict").image for scenes in (kept, Scenes(few))]
        assert_same_image(*images)


WRONG = {
    "a table": (MODEL.replace("[beam]", "[beem]"), RANDOM, "beem: no such key"),
    "a field": (MODEL.replace("wavelength_A", "wavelenght_A"), RANDOM, "did you mean wavelength_A?"),
    "arguments too": ('arguments = "-N 5"\n' + MODEL, RANDOM, "both say what is simulated"),
    "a structure too": ('structure = "1a8o.pdb"\n' + MODEL, RANDOM, "both say what is simulated"),
    "no crystal": (MODEL.replace("[crystal]", "[scan]").replace("cell =", "#").replace("N =", "#").replace("mosaic", "#"),
                   RANDOM, "Crystal: give either cell or reciprocal"),
    "a value": (MODEL.replace("[10, 9, 8]", "[10, 9]"), RANDOM, "Crystal: N: must be 3 whole numbers"),
    "no file": (MODEL.replace("triclinic.hkl", "none.hkl"), RANDOM, "none.hkl: No such file"),
    "a flag": (MODEL, '\n[[axis]]\nflag = "-lambda"\nvalues = [1]\n', "tables of a model have fields"),
    "an axis of nothing": (MODEL, '\n[[axis]]\nfield = "beam.wavelenght_A"\nvalues = [1]\n', "did you mean wavelength_A?"),
    "no table of a field": (MODEL, '\n[[axis]]\nfield = "wavelength_A"\nvalues = [1]\n', "TABLE.NAME"),
    "a value of an axis": (MODEL, '\n[[axis]]\nfield = "beam.wavelength_A"\nvalues = [1, -1]\n', "image 1: Beam: wavelength_A"),
    "twice": (MODEL, WAVES + WAVES, "both set the same thing"),
    "two orientations": (MODEL, RANDOM + '\n[[axis]]\nfield = "crystal.misset_deg"\nvalues = [[1, 2, 3]]\n', "both set the same"),
    "rivals": (MODEL, WAVES + '\n[[axis]]\nfield = "beam.energy_eV"\nvalues = [1, 2, 3]\n', "both set the same"),
    "no angle": (MODEL + "[scan]\nrange_deg = 1\n", '\n[[axis]]\nfield = "scan.start_deg"\nvalues = ["abc", [1, 2]]\n',
                 "Scan: start_deg: must be a finite number"),
    "no table of names": ('output = "out"\nfactors = 3\n', RANDOM, "[factors]: must be a table"),
    "a background": (MODEL + '[background]\nkind = "water"\n', RANDOM, "must be a list of tables"),
    "a detector that moves": (MODEL, '\n[[axis]]\nfield = "detector.distance_mm"\nvalues = [100, 120]\n',
                              "detector changes within shard 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_before_any_work(name, tmp_path, capsys):
    model, more, said = WRONG[name]
    keys = {} if "values" in more and RANDOM not in more else {"images": 1}
    assert main(["run", str(written(tmp_path, more, model if model.startswith("\n") else "\n" + model, **keys))]) == 1
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_a_flag_axis_has_no_field(tmp_path, capsys):
    path = written(tmp_path, WAVES, '\narguments = "-cell 9 9 9 90 90 90 -default_F 1"\noutput = "out"\n')
    assert main(["run", str(path)]) == 1 and "arguments have flags" in capsys.readouterr().err


@pytest.mark.parametrize("structure", [None, "1a8o.pdb", "1a8o.hkl"])
def test_a_file_to_start_from(structure, tmp_path, capsys):
    """It runs as it is, once it is small; what is commented out in it is right too."""
    path = tmp_path / "new.toml"
    words = ["new", str(path), "--detector", "Pilatus 300K" if structure else "Eiger2 4M"]
    if structure:
        (tmp_path / structure).write_bytes((ROOT / "examples" / structure).read_bytes())
        words += ["--structure", structure]
    assert main(words) == 0 and main(words) == 1
    assert "is there already" in capsys.readouterr().err
    text = path.read_text()
    if structure == "1a8o.hkl":  # indices alone have no cell
        assert main(["expand", str(path)]) == 1 and "no unit cell" in capsys.readouterr().err
        text = text.replace("# cell = [...]", "cell = [42, 42, 89, 90, 90, 90]")
    every = (
        text.replace("# mosaic", "mosaic").replace("# [", "[").replace("# range", "range").replace("# steps", "steps")
    )
    for name in ("field", "start", "stop", "count"):
        every = every.replace(f"# {name} =", f"{name} =")
    for some in (text, every):
        path.write_text(some)
        assert main(["expand", str(path), "--first", "3"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 4
    path.write_text(text.replace("images = 20", "images = 2").replace("N = [40, 40, 40]", "N = [5, 5, 5]") + "\n")
    if structure:
        assert main(["run", str(path), "--no-sheet"]) == 0
        assert frames(tmp_path / "new" / "shard-000000.h5").shape == (2, 619, 487)


def test_expand_shows_an_image(tmp_path, capsys):
    path = written(tmp_path, WAVES)
    assert main(["expand", str(path), "--image", "1"]) == 0
    assert "1.1" in capsys.readouterr().out
    assert main(["expand", str(path), "--image", "3"]) == 1
    assert "the job has 3 images" in capsys.readouterr().err
    assert main(["expand", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0].split("\t")[3] == "experiment" and json.loads(lines[2].split("\t")[3])["beam"]["wavelength_A"] == 1.1
    )


def test_a_job_belongs_to_a_schema(tmp_path, capsys):
    """Not to a version of the package: what it says is what images depend on."""
    path = written(tmp_path, images=1)
    assert main(["run", str(path), "--no-sheet"]) == 0
    kept = tmp_path / "out" / "job.json"
    job = json.loads(kept.read_text())
    assert job["job"]["schema"] == SCHEMA and "nanobragg" not in job["job"]
    assert from_text(kept.read_text(), "job.json", str(tmp_path / "out")) == read_job(str(path))
    job["job"]["schema"] = SCHEMA - 1
    kept.write_text(json.dumps(job))
    assert main(["run", str(tmp_path / "out")]) == 1
    assert f"was begun with jobs of schema {SCHEMA - 1}, this is {SCHEMA}" in capsys.readouterr().err
