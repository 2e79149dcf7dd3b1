"""nb-bench: that it measures what it says, in a form machines can read."""

import json

import pytest

from nanobragg.cli.tools import bench as nb_bench
from nanobragg.engine.check.workloads import WORKLOADS, Workload
from nanobragg.engine.cost import steps_of
from nanobragg.kernels.compiling.processor import processor
from tests.support import working_in
from tests.tolerances import MIXED_OF_PIXEL

TINY = Workload(
    "tiny", "nothing to speak of", "-default_F 5 -cell 50 -detpixels 16 -oversample 1 -nonoise -hkl {hkl}", 4
)


@pytest.mark.cref
def test_figures_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nb_bench, "WORKLOADS", (TINY,))
    monkeypatch.delenv("NB_C_BIN", raising=False)
    with working_in(tmp_path):
        assert nb_bench.main(["tiny", "--rounds", "1", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["instructions"] == processor().instructions and found["processor"]
    (result,) = found["results"]
    assert result["steps"] == 256 and set(result["backends"]) == {"cref", "strict", "fast", "mixed"}
    for name, entry in result["backends"].items():
        assert entry["ns_per_step"] > 0 and entry["times_reference"] > 0
        assert entry["worst_of_max"] <= {"fast": 1e-9, "mixed": MIXED_OF_PIXEL}.get(name, 0.0)
    assert result["backends"]["strict"]["identical"] == 1.0


SLOW = """#!/bin/sh
# An original of which 4 rows take a second, and everything a tenth.
echo > floatimage.bin
case "$*" in *"-roi 0 0 0 0") sleep 0.1 ;; *) sleep 1.1 ;; esac
"""


@pytest.mark.cref
def test_an_original_is_measured_without_its_start(tmp_path, monkeypatch, capsys):
    program = tmp_path / "original"
    program.write_text(SLOW)
    program.chmod(0o755)
    monkeypatch.setenv("NB_C_BIN", str(program))
    monkeypatch.setattr(nb_bench, "WORKLOADS", (TINY,))
    with working_in(tmp_path):
        assert nb_bench.main(["tiny", "--rounds", "1", "--backend", "fast"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert processor().instructions in lines[0] and lines[1].endswith("x original")
    row = next(line.split() for line in lines if line.split()[1:2] == ["original"])
    assert abs(float(row[2]) * 64e-9 - 1.0) < 0.3 and row[-1] == "1.00"


def test_an_original_that_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NB_C_BIN", "/bin/true")
    monkeypatch.setattr(nb_bench, "WORKLOADS", (TINY,))
    with working_in(tmp_path):
        assert nb_bench.main(["tiny", "--rounds", "1", "--backend", "fast"]) == 1
    assert "NB_C_BIN /bin/true: no floatimage.bin" in capsys.readouterr().err


def test_every_workload_has_its_flags_right(tmp_path):
    hkl = tmp_path / "x.hkl"
    hkl.write_text("0 0 0 1\n1 2 3 4\n")
    with working_in(tmp_path):
        for workload in WORKLOADS:
            assert steps_of(nb_bench.plan_of(nb_bench.arguments_of(workload, hkl, 1))) > 0
        sources = nb_bench.plan_of(nb_bench.arguments_of(WORKLOADS[2], hkl))
    assert sources.n_sources == 48


@pytest.mark.parametrize("line", [["no-such"], ["--rounds", "0"], ["--threads", "-1"]])
def test_bad_options(line, capsys):
    assert nb_bench.main(line) == 2
    assert "nb-bench:" in capsys.readouterr().err
