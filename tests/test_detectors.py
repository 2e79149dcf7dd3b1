"""Detectors by name: sizes that their makers publish, gaps, sensors against xraydb, and what an image of one is."""

import dataclasses

import numpy as np
import pytest

import nanobragg as nb
from nanobragg.cli.nanobragg.command import main
from nanobragg.engine.detectors.catalogue import MODELS, detector_model
from nanobragg.engine.detectors.sensors import attenuation
from nanobragg.engine.errors import BadInput
from tests.support import working_in
from tests.tolerances import ATTENUATION

SIZES = {  # slow, fast; the share of pixels that are no gap
    "Pilatus3 6M": ((2527, 2463), 60 * 487 * 195), "Pilatus 2M": ((1679, 1475), 24 * 487 * 195),
    "Pilatus 1M": ((1043, 981), 10 * 487 * 195), "Pilatus3 300K": ((619, 487), 3 * 487 * 195),
    "Eiger 16M": ((4371, 4150), 32 * 1030 * 514), "Eiger 9M": ((3269, 3110), 18 * 1030 * 514),
    "Eiger 4M": ((2167, 2070), 8 * 1030 * 514), "Eiger 1M": ((1065, 1030), 2 * 1030 * 514),
    "Eiger2 16M": ((4362, 4148), 32 * 1028 * 512), "Eiger2 9M": ((3262, 3108), 18 * 1028 * 512),
    "Eiger2 CdTe 4M": ((2162, 2068), 8 * 1028 * 512), "Eiger2 1M": ((1062, 1028), 2 * 1028 * 512),
    "Rayonix MX340-HS": ((7680, 7680), 7680**2), "Rayonix MX340-HS bin 4": ((1920, 1920), 1920**2),
    "Rayonix MX225": ((3072, 3072), 3072**2),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_sizes_and_gaps(name):
    model = detector_model(name)
    shape, pixels = SIZES[name]
    assert model.shape == shape and int(model.mask().sum()) == pixels
    assert model.mask()[0, 0] == model.mask()[-1, -1] == 1


def test_names_are_found_however_they_are_written():
    for name in ("eiger2-16m", "EIGER2 16M", "Eiger2_16M", "eiger216m"):
        assert detector_model(name) is MODELS["Eiger2 16M"]
    with pytest.raises(BadInput, match=r"no detector is called that \(.*Pilatus3 6M"):
        detector_model("Pilatos 6M")


@pytest.mark.parametrize("material, density", [("Si", 2.329), ("CdTe", 5.85), ("GaAs", 5.318)])
def test_attenuation_against_xraydb(material, density):
    xraydb = pytest.importorskip("xraydb")
    atoms = {"Si": ["Si"], "CdTe": ["Cd", "Te"], "GaAs": ["Ga", "As"]}[material]
    edges = np.array([e.energy for atom in atoms for e in xraydb.xray_edges(atom).values()])
    energies = np.random.default_rng(2).uniform(2100.0, 100_000.0, 500)
    energies = energies[np.abs(energies[:, None] - edges).min(axis=1) > 2.0]
    ours = np.array([10.0 / attenuation(material, energy) for energy in energies])
    np.testing.assert_allclose(ours, xraydb.material_mu(material, energies, density=density), rtol=ATTENUATION)
    for energy in (100.0, 1e6, np.nan):
        with pytest.raises(BadInput, match="sensors are known from"):
            attenuation(material, energy)


LINE = "-cell 50 60 70 90 90 90 -default_F 50 -distance 150 -energy 12400 -N 2 -oversample 1 -nointerpolate"


def test_an_image_of_one(tmp_path, capsys):
    with working_in(tmp_path):
        assert main([*LINE.split(), "--detector", "Pilatus 300K", "-seed", "1", "-nopgm"]) == 0
    out, err = capsys.readouterr()
    assert "distance=0.15 detsize=0.083764x0.106468  pixel=0.000172 meters (487x619 pixels)" in out
    depth = 1.0 / (attenuation("Si", 12400.0) * 1e-3)
    assert f"sensor is 0.00032 m thick in 1 layers with mu= {depth:.6g}" in out
    assert "computed right, not as the original does: Q05 Q06 Q08 Q101" in err and "Q05 thickness" not in err
    image = nb.read_image(tmp_path / "floatimage.bin", (619, 487))
    gaps = detector_model("Pilatus 300K").mask() == 0
    assert not image[gaps].any() and image[~gaps].all()


def test_flags_go_before_the_name(tmp_path, capsys):
    line = LINE + " -detector_thick 0 -detpixels_x 100 -detpixels_y 50 -nonoise"
    with working_in(tmp_path):
        assert main([*line.split(), "--detector", "Pilatus 300K"]) == 0
    assert "(100x50 pixels)" in capsys.readouterr().out
    assert nb.read_image(tmp_path / "floatimage.bin", (50, 100)).all()


def test_the_list_and_a_wrong_name(tmp_path, capsys):
    assert main(["--detector", "list"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == len(MODELS) and any(
        line.startswith("Eiger2 CdTe 16M") and "CdTe 0.75 mm" in line for line in out
    )
    assert main([*LINE.split(), "--detector", "Pilatos"]) == 1
    assert "no detector is called that" in capsys.readouterr().err


def test_a_detector_from_python():
    """The same pixels as with its sensor and gaps given one by one."""
    model = detector_model("Pilatus 300K")
    crystal, factors = nb.Crystal(cell=(50, 60, 70, 90, 90, 90), N=(2, 2, 2)), nb.constant(50.0)
    beam = nb.Beam(energy_eV=12400)
    by_name = nb.simulate(crystal, nb.Detector(model="pilatus 300k", distance_mm=150), factors, beam, oversample=1)
    by_hand = nb.simulate(
        crystal,
        nb.Detector((619, 487), pixel_mm=0.172, distance_mm=150, thickness_um=320,
                    attenuation_um=attenuation("Si", 12400) * 1e3),
        factors, beam, oversample=1, mask=model.mask(),
    )  # fmt: skip
    np.testing.assert_array_equal(by_name, by_hand)
    wrong = {
        "no detector is called that": {"model": "x"},
        "its own shape": {"model": "Eiger 1M", "shape": (5, 5)},
        "must be the name": {"model": 3},
    }
    for says, words in wrong.items():
        with pytest.raises(nb.BadInput, match=says):
            nb.simulate(crystal, nb.Detector(**words), factors)
    other = dataclasses.replace(nb.Detector(model="Eiger 16M"), model="Pilatus 6M")
    assert nb.set_up(crystal, other, factors, oversample=1).detector.thickness == pytest.approx(320e-6)
    with pytest.raises(nb.BadInput, match="give shape"):
        nb.simulate(crystal, nb.Detector(), factors)


def test_counts_end_where_the_detector_does(tmp_path):
    line = LINE + " -fluence 1e34 -detpixels 40 -pixel 2 --detector"
    with working_in(tmp_path):
        assert main([*line.split(), "Pilatus 300K", "-detector_thick", "0", "--output", "x.npy", "--only-output"]) == 0
    counts = np.load(tmp_path / "x.npy")
    assert counts.max() == 1_048_575 and counts.dtype == np.int32


def test_masks_of_other_formats(tmp_path, capsys):
    """npy, CBF and HDF5 where files are read right; what is 0 or less is masked, and no setting changes."""
    import fabio
    import h5py

    mask = np.ones((20, 30), np.int32)
    mask[3:7, 5:9], mask[0, 0] = 0, -1
    np.save(tmp_path / "m.npy", mask)
    fabio.cbfimage.CbfImage(data=mask).write(str(tmp_path / "m.cbf"))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["data"] = mask
    np.save(tmp_path / "turned.npy", mask.T)
    line = LINE + " -detpixels_x 30 -detpixels_y 20 -pixel 1 -nonoise -nopgm -mask "
    for name in ("m.npy", "m.cbf", "m.h5"):
        with working_in(tmp_path):
            assert main([*(line + name).split(), "--fix", "files"]) == 0
        image = nb.read_image(tmp_path / "floatimage.bin", (20, 30))
        assert (image[mask > 0] > 0).all() and not image[mask <= 0].any()
    with working_in(tmp_path):
        assert main([*(line + "turned.npy").split(), "--fix", "files"]) == 1
        assert "-mask turned.npy: has 20 x 30 pixels (fast x slow), the image 30 x 20" in capsys.readouterr().err
        assert main((line + "m.npy").split()) == 1  # the original's own reading
        assert "not an SMV image" in capsys.readouterr().err


def test_jobs_have_keys_for_structure_and_detector(tmp_path, capsys):
    from nanobragg.cli.batch.command import main as nb_batch
    from tests.support import ROOT

    np.save(tmp_path / "m.npy", np.ones((619, 487), np.uint8))
    job = tmp_path / "job.toml"
    (tmp_path / "s.pdb").write_bytes((ROOT / "examples" / "1a8o.pdb").read_bytes())
    job.write_text(
        'arguments = "-distance 200 -lambda 1 -N 5 -oversample 1 -mask m.npy"\nstructure = "s.pdb"\n'
        'detector = "Pilatus 300K"\nimages = 2\noutput = "out"\n[[axis]]\norientation = "random"\n'
    )
    assert nb_batch(["run", str(job), "--no-sheet"]) == 0
    assert "644 atoms" in capsys.readouterr().err
    import h5py

    with h5py.File(tmp_path / "out" / "shard-000000.h5") as file:
        detector = file["entry/instrument/detector"]
        assert detector["sensor_material"][()] == b"Si" and detector["saturation_value"][()] == 1_048_575
        assert (detector["pixel_mask"][()] == (detector_model("Pilatus 300K").mask() == 0)).all()
        assert detector["sensor_thickness"][()] == pytest.approx(0.32)
    assert nb_batch(["run", str(job), "--no-sheet"]) == 0
    (tmp_path / "s.pdb").write_text("changed")
    assert nb_batch(["run", str(tmp_path / "out"), "--no-sheet"]) == 1
    assert "s.pdb: is not the file" in capsys.readouterr().err
    job.write_text(job.read_text().replace("Pilatus 300K", "Nothing"))
    assert nb_batch(["run", str(job), "--output", str(tmp_path / "b")]) == 1
    assert "no detector is called that" in capsys.readouterr().err
