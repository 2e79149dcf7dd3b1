"""Job files: what varies and how, what is refused before any work, and that an image depends on its number alone."""

import json
import shlex

import numpy as np
import pytest

from nanobragg.cli.batch.command import main
from nanobragg.cli.batch.job_file import read_job
from nanobragg.cli.batch.lines import SetUps
from nanobragg.cli.batch.scenes import Scenes
from nanobragg.engine.batch.job.axes import LARGEST_SEED, seed_of
from nanobragg.engine.errors import BadInput
from tests.batch_support import INPUTS, RANDOM, SMALL, write_job
from tests.support import frozen

RANGE = '\n[[axis]]\nflag = "-phi"\nstart = 0\nstep = 0.1\n'
LIST = '\n[[axis]]\nflag = "-lambda"\nvalues = [1.0, 1.1, 1.2]\n'


def varying(job):
    return [" ".join(job.varying_words(image)) for image in range(job.images)]


def test_axes_together(tmp_path):
    (tmp_path / "shots.csv").write_text("-misset,-N,-nopolar\n1 2 3,5,true\n4 5 6,,false\n7 8 9,7,\n")
    job = read_job(str(write_job(tmp_path, more=LIST + RANGE + '[[axis]]\ntable = "shots.csv"\n')))
    assert job.images == 3
    assert varying(job) == [
        "-lambda 1.0 -phi 0 -misset 1 2 3 -N 5 -nopolar",
        "-lambda 1.1 -phi 0.1 -misset 4 5 6",
        "-lambda 1.2 -phi 0.2 -misset 7 8 9 -N 7",
    ]


def test_axes_in_a_product(tmp_path):
    more = LIST + RANGE.replace("step = 0.1", "stop = 1\ncount = 3") + RANDOM
    job = read_job(str(write_job(tmp_path, more=more, combine="product")))
    assert job.images == 9
    found = [shlex.split(words) for words in varying(job)]
    assert [words[1] for words in found] == ["1.0"] * 3 + ["1.1"] * 3 + ["1.2"] * 3
    assert [words[3] for words in found] == ["0", "0.5", "1"] * 3
    assert len({tuple(words[4:]) for words in found}) == 9, "every image has an orientation of its own"


def test_decimals_stay_decimals(tmp_path):
    job = read_job(str(write_job(tmp_path, more=RANGE, images=1000)))
    assert job.varying_words(3) == ["-phi", "0.3"] and job.varying_words(999) == ["-phi", "99.9"]


def test_orientations_are_uniform(tmp_path):
    """The image of a direction is spread evenly over the sphere, and so is the turn about it."""
    job = read_job(str(write_job(tmp_path, images=4000)))
    prepare = SetUps(job).set_up
    start = prepare(shlex.split(SMALL)).crystal.recip
    back = np.linalg.inv(np.array(start))
    turns = np.array([back @ np.array(prepare(job.words(n)).crystal.recip) for n in range(0, 4000, 2)])
    assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    for axis in range(3):
        for component in range(3):
            values = np.sort(turns[:, axis, component])
            uniform = (np.arange(len(values)) + 0.5) / len(values) * 2.0 - 1.0
            assert np.abs(values - uniform).max() < 2 * 1.95 / np.sqrt(len(values)), "Kolmogorov, p = 1e-3"


def test_seeds_differ():
    many = {seed_of(5, n, 1) for n in range(200_000)}
    assert len(many) == 200_000 and min(many) >= 1 and max(many) <= LARGEST_SEED
    assert not many & {seed_of(5, n, 1) for n in range(200_000, 200_100)}
    assert seed_of(5, 7, 1) != seed_of(6, 7, 1) != seed_of(6, 7, 2)
    low, high = seed_of(1, 10, 1), seed_of(1, 11, 1)
    assert abs(low - high) > 1000, "neighbours are far apart"


def test_an_image_depends_on_its_number_alone(tmp_path):
    few = read_job(str(write_job(tmp_path, images=3)))
    many = read_job(str(write_job(tmp_path, images=300, images_per_shard=7)))
    assert [few.words(n) for n in range(3)] == [many.words(n) for n in range(3)]
    other = read_job(str(write_job(tmp_path, images=3, seed=2)))
    assert all(few.words(n) != other.words(n) for n in range(3))


def test_expand_prints_the_table(tmp_path, capsys):
    assert main(["expand", str(write_job(tmp_path, images=5, images_per_shard=2)), "--first", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[0].split("\t") == ["image", "shard", "varying", "arguments"]
    assert [line.split("\t")[:2] for line in lines[1:]] == [["0", "0"], ["1", "0"], ["2", "1"], ["3", "1"]]
    assert not (tmp_path / "out").exists()


def test_the_digest_knows_what_images_depend_on(tmp_path):
    (tmp_path / "t.csv").write_text("-lambda\n1\n2\n")

    def digest(**keys):
        return read_job(str(write_job(tmp_path, more='[[axis]]\ntable = "t.csv"\n', **keys))).digest

    first = digest()
    assert digest() == first and digest(output="elsewhere") == first
    assert (
        len({first, digest(seed=9), digest(noise="none"), digest(backend="fast"), digest(arguments=SMALL + " -N 9")})
        == 5
    )
    (tmp_path / "t.csv").write_text("-lambda\n1\n2.5\n")
    assert digest() != first, "a file that the job names has changed"


WRONG = {
    "no such key": ({"images": 2, "imges": 3}, RANDOM, "imges: no such key"),
    "no images": ({}, RANDOM, "images"),
    "not whole": ({"images": "many"}, RANDOM, "not a whole number"),
    "none": ({"images": 0}, RANDOM, "not a whole number"),
    "lengths": ({}, LIST + '[[axis]]\nflag = "-N"\nvalues = [1, 2]\n', "differ in length"),
    "length and images": ({"images": 4}, LIST, "-lambda has 3"),
    "twice": ({"images": 3}, LIST + LIST, "both set the same thing"),
    "two names of one": ({"images": 3}, LIST + '[[axis]]\nflag = "-energy"\nstart = 9000\nstep = 1\n', "both set the same"),
    "two orientations": ({"images": 3}, RANDOM + '[[axis]]\nflag = "-misset"\nvalues = [[1, 2, 3]]\n', "both set the same"),
    "no flag": ({"images": 1}, '[[axis]]\nflag = "-lamda"\nvalues = [1]\n', "no flag of nanoBragg"),
    "no dash": ({"images": 1}, '[[axis]]\nflag = "lambda"\nvalues = [1]\n', "is -lambda meant"),
    "an output": ({"images": 1}, '[[axis]]\nflag = "-floatfile"\nvalues = ["a"]\n', "names an output"),
    "too many values": ({"images": 1}, '[[axis]]\nflag = "-lambda"\nvalues = [[1, 2]]\n', "takes A"),
    "too few values": ({"images": 1}, '[[axis]]\nflag = "-misset"\nvalues = [[1, 2]]\n', "takes x y z"),
    "a word": ({"images": 1}, '[[axis]]\nflag = "-lambda"\nvalues = ["one"]\n', "no number"),
    "a list for a start": ({"images": 1}, '[[axis]]\nflag = "-phi"\nstart = [0, [5], 0]\nstep = 1\n', "no number that can be"),
    "far too large": ({"images": 1}, '[[axis]]\nflag = "-phi"\nstart = 0\nstep = 1e99999999999\n', "no number that can be"),
    "too many files": ({"images": 2_000_000, "images_per_shard": 1}, RANDOM, "too many files"),
    "not finite": ({"images": 1}, '[[axis]]\nflag = "-lambda"\nvalues = [nan]\n', "no number"),
    "an accident": ({"images": 1}, '[[axis]]\nflag = "-misset_seed"\nvalues = [1]\n', "flags at once"),
    "kinds": ({"images": 1}, '[[axis]]\nflag = "-phi"\nvalues = [1]\nstart = 2\n', "must have one of"),
    "keys of an axis": ({"images": 1}, '[[axis]]\norientation = "random"\nflag = "-phi"\n', "cannot stand beside"),
    "empty list": ({"images": 1}, '[[axis]]\nflag = "-phi"\nvalues = []\n', "something in it"),
    "range": ({"images": 1}, '[[axis]]\nflag = "-phi"\nstart = 1\n', "start and step"),
    "range too full": ({"images": 1}, '[[axis]]\nflag = "-phi"\nstart = 1\nstop = 3\nstep = 1\n', "start and step"),
    "no table": ({"images": 1}, '[[axis]]\ntable = "none.csv"\n', "none.csv: No such file"),
    "no hkl": ({"images": 1, "arguments": "-hkl none.hkl -cell 9 9 9 90 90 90"}, RANDOM, "none.hkl: No such file"),
    "no cell": ({"images": 1, "arguments": "-default_F 1 -detpixels 9"}, RANDOM, "no cell"),
    "no amplitudes": ({"images": 1, "arguments": "-cell 9 9 9 90 90 90"}, RANDOM, "no amplitudes"),
    "seed in arguments": ({"images": 1, "arguments": SMALL + " -seed 4"}, RANDOM, "the same noise"),
    "random misset": ({"images": 1, "arguments": SMALL + " -misset random"}, "", "follow the clock"),
    "own options": ({"images": 1, "arguments": SMALL + " --backend fast"}, RANDOM, "only --fix"),
    "quotes": ({"images": 1, "arguments": SMALL + " \""}, RANDOM, "quotation"),
    "curved": ({"images": 1, "arguments": SMALL + " -curved_det x"}, RANDOM, "curved"),
    "float counts": ({"images": 1, "values": "float32", "noise": "philox"}, RANDOM, "expected photons"),
    "32 bits of the original": ({"images": 1, "values": "int32", "noise": "original"}, RANDOM, "16 bits"),
    "smv": ({"images": 1, "values": "int32", "format": "smv"}, RANDOM, "holds uint16"),
    "backend": ({"images": 1, "backend": "quick"}, RANDOM, "not one of auto"),
    "sensor": ({"images": 1, "sensor_material": "Ge"}, RANDOM, "not one of Si"),
    "detector": ({"images": 2}, '[[axis]]\nflag = "-distance"\nvalues = [100, 120]\n', "detector changes within shard 0"),
    "last image": ({"images": 2}, '[[axis]]\nflag = "-lambda"\nvalues = [1, 0]\n', "image 1: -lambda"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_before_any_work(name, tmp_path, capsys):
    keys, more, said = WRONG[name]
    job = write_job(tmp_path, more=more, **keys)
    assert main(["run", str(job)]) == 1
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1 and not (tmp_path / "out").exists()


TABLES = {
    "no flag": ("-lamda\n1\n", "'-lamda': no flag"),
    "twice": ("-lambda,-lambda\n1,2\n", "there twice"),
    "ragged": ("-lambda,-N\n1,2\n3\n", "line 3 has 1 fields"),
    "no rows": ("-lambda\n", "no row"),
    "empty": ("", "empty"),
    "a word": ("-lambda\n1\nx\n", "line 3: -lambda x"),
    "a blank line": ("-lambda\n1.5\n\n2\n\n", "line 3 is empty"),
    "a blank row": ("-lambda,-N\n1.5,2\n  \n2,3", "line 3 is empty"),
    "digits of Python": ("-lambda\n1_000\n", "'1_000' is no number"),
    "digits of others": ("-lambda\n\uff11\uff12\n", "is no number"),
    "half a count": ("-phisteps\n2.7\n", "'2.7' is no whole number"),
    "an exponent of a count": ("-oversample\n1e1\n", "'1e1' is no whole number"),
    "quotes": ('-lambda\n"1"\n', "quotation"),
}


@pytest.mark.parametrize("name", TABLES)
def test_wrong_tables(name, tmp_path, capsys):
    content, said = TABLES[name]
    (tmp_path / "t.csv").write_text(content)
    assert main(["run", str(write_job(tmp_path, more='[[axis]]\ntable = "t.csv"\n'))]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b"arguments = 3", b"\xff\xfe", b"arguments = [1]", b"[axis]\nflag = 1", b"a" * 10]
)
def test_no_job_files(content, tmp_path, capsys):
    (tmp_path / "job.toml").write_bytes(content)
    assert main(["run", str(tmp_path / "job.toml")]) == 1
    assert str(tmp_path / "job.toml") in capsys.readouterr().err
    assert main(["run", str(tmp_path / "none.toml")]) == 1 and "none.toml: No such file" in capsys.readouterr().err


def test_files_are_looked_for_beside_the_job(tmp_path, monkeypatch, capsys):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "a.hkl").write_text("0 0 1 100\n0 1 0 50\n1 0 0 20\n")
    job = write_job(tmp_path / "jobs", f"-mat {INPUTS}/triclinic.mat -hkl a.hkl -lambda 1 -N 10 -detpixels 8", images=1)
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(job), "--no-sheet"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["jobs"], "no dump of amplitudes, nothing else"
    kept = json.loads((tmp_path / "jobs" / "out" / "job.json").read_text())
    assert "a.hkl" in kept["job"]["inputs"]
    (tmp_path / "jobs" / "a.hkl").write_text("0 0 1 200\n0 1 0 50\n1 0 0 20\n")
    assert main(["run", str(tmp_path / "jobs" / "out")]) == 1 and "not the file" in capsys.readouterr().err
    with pytest.raises(BadInput, match="holds another job"):
        from nanobragg.engine.batch.store.folder import begin

        begin(read_job(str(job)))


def test_numbers_are_written_as_the_original_reads_them(tmp_path):
    (tmp_path / "my inputs").mkdir()
    (tmp_path / "my inputs" / "a b.hkl").write_text("0 0 1 100\n0 1 0 50\n1 0 0 20\n")
    (tmp_path / "t.csv").write_text("-hkl,-roi\r\nmy inputs/a b.hkl,1 2 3 4\r\nmy inputs/a b.hkl,\r\n\r\n\r\n")
    more = '[[axis]]\nflag = "-oversample"\nvalues = [1e1, 2]\n[[axis]]\ntable = "t.csv"\n'
    job = read_job(str(write_job(tmp_path, more=more)))
    assert job.images == 2 and "my inputs/a b.hkl" in job.inputs
    assert job.varying_words(0) == ["-oversample", "10", "-hkl", "my inputs/a b.hkl", "-roi", "1", "2", "3", "4"]
    assert Scenes(job)(0).sampled.oversample == 10


def test_what_is_kept_between_images_is_not_kept_too_long(tmp_path):
    """One preparer for all images, in any order, gives the plans that a new one gives for each."""
    (tmp_path / "s.txt").write_text("-10 0 0 1 1e-10\n-10 0.01 0 1 1.01e-10\n")
    (tmp_path / "t.csv").write_text(
        "-lambda,-misset,-dispersion,-dispsteps,-sourcefile,-hkl,-beamsize,-phi,-default_F\n"
        f"1,1 2 3,,,,{INPUTS}/triclinic.hkl,0.1,0,\n1.1,1 2 3,,,,,0.1,0,7\n1,4 5 6,1,3,,,0.1,5,\n"
        "1,4 5 6,,,s.txt,,0.2,5,\n1.2,4 5 6,,,s.txt,,0.1,5,\n1,1 2 3,,,,,0.1,0,\n"
    )
    job = read_job(str(write_job(tmp_path, more='[[axis]]\ntable = "t.csv"\n', images=6)))
    kept = Scenes(job)
    for number in (0, 1, 2, 3, 4, 5, 3, 0, 2):
        ours, anew = (frozen(scene_of(number)) for scene_of in (kept, Scenes(job)))
        for name, group in ours._asdict().items():
            for field, a in group._asdict().items():
                assert np.array_equal(a, getattr(getattr(anew, name), field)), (number, name, field)
