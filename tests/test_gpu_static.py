"""What GPU kernels take, from their machine code: bounds on registers, spills, stack and binary64 instructions."""

import pytest

from benchmarks import gpu_static
from nanobragg.cli.tools import compile as nb_compile
from nanobragg.kernels.compiling import kept
from nanobragg.kernels.cuda.all_kernels import all_kernels
from nanobragg.kernels.cuda.compiled import code_of

KERNELS = {kernel.name: kernel for kernel in all_kernels()}
MEASURED = [name for name in KERNELS if not name.endswith("_weighted")] + ["render_square_weighted"]
MOST = {
    "render_square": (96, 110), "render_square_mixed": (96, 45), "render_round": (96, 95), "render_gauss": (96, 100),
    "render_tophat": (96, 75),
}  # fmt: skip
NO_SINES = ("share", "add_up", "to_int", "to_grey", "add_image", "add_blocks", "spread_blocks")


OLDER, NEWER = gpu_static.CAPABILITIES


@pytest.mark.parametrize(
    "name, capability", [(name, NEWER) for name in MEASURED] + [(name, OLDER) for name in MOST],
    ids=lambda x: x if isinstance(x, str) else f"sm_{x[0]}{x[1]}",
)  # fmt: skip
def test_bounds(name, capability):
    taken = gpu_static.resources(KERNELS[name], capability)
    assert taken.spills == 0
    assert taken.stack <= (0 if name in NO_SINES else 40), "sine and cosine of any angle, on curved detectors"
    registers, fp64 = MOST.get(name, (168, 300))
    assert taken.registers <= registers and taken.fp64 <= fp64
    assert taken.fp64 >= 20 or name not in MOST, "the innermost loop was not found"


def test_names_are_of_one_kernel_each():
    """Machine code is kept by them."""
    names = [kernel.name for kernel in all_kernels()]
    assert len(set(names)) == len(names) == 2 * (4 * 4 + 4) + 15


def test_machine_code_is_for_the_card_and_is_kept(monkeypatch):
    """Made without a device; a second time it is read."""
    kernel = KERNELS["to_grey"]
    made = [code_of(kernel, capability) for capability in ((8, 0), (9, 0))]
    assert all(code.binary.startswith(b"\x7fELF") and code.name for code in made) and made[0] != made[1]
    monkeypatch.setattr("nanobragg.kernels.cuda.compiled.machine_code_of", None)
    assert code_of(kernel, (9, 0)) == made[1]


def test_kernels_of_gpus_are_compiled_ahead(tmp_path, monkeypatch, capsys):
    """Beside those of the CPU, which are left out here."""
    monkeypatch.setattr("nanobragg.engine.preparation.prepare", lambda tell, traces: None)
    some = [KERNELS[name] for name in ("to_grey", "share", "count_pixels", "render_square")]
    monkeypatch.setattr("nanobragg.kernels.cuda.all_kernels.all_kernels", lambda: iter(some))  # others take minutes
    places = kept._places()
    before = list(places)
    try:
        assert nb_compile.main([str(tmp_path), "--gpu", "9.0"]) == 0
        assert "GPUs of capability 9.0 are in" in capsys.readouterr().out
        assert len(list(tmp_path.rglob("gpu-*.cubin"))) == len(some)
        assert nb_compile.main([str(tmp_path), "--gpu", "9.0"]) == 0
        assert capsys.readouterr().out.strip().endswith("already")
        assert nb_compile.main([str(tmp_path), "--gpu", "1.0"]) != 0
        said = capsys.readouterr().err
        assert "--gpu 1.0: GPU kernels cannot be compiled" in said and "pip install nanobragg[cuda12]" in said
    finally:
        places[:] = before
    with pytest.raises(SystemExit):
        nb_compile.main(["--gpu", "9"])
    assert "a compute capability is two numbers, as in 9.0" in capsys.readouterr().err
