"""What is planted into kernels is found: a missing barrier, a wrong bound, a race, a barrier that not all threads reach."""

import importlib.util
import inspect

import pytest

from nanobragg.engine.errors import BadInput
from nanobragg.engine.render import render
from nanobragg.kernels.cuda import figures, loops
from tests.support import assert_close_image, plan_of

LINE = (
    "-mat {in}/triclinic.mat -hkl {in}/triclinic.hkl -lambda 0.9768 -N 5 -distance 100 -pixel 2 -detpixels_x 7 "
    "-detpixels_y 5 -oversample 1 -mosaic 1 -mosaic_domains 40"
)
MUTANTS = {
    "missing barrier before cells are staged": ("race", "cuda.syncthreads()\n                    for k in", "for k in"),
    "missing barrier after": ("race", "cuda.syncthreads()\n                    for c in", "for c in"),
    "wrong bound of the threads": ("load outside", "min(own, count - 1)", "min(own, count)"),
    "wrong bound of the pixels": ("outside", "if i < len(pixels):", "if i <= len(pixels):"),
    "wrong bound of the cells": ("load outside", "np.int32(here * 9)", "np.int32(CELLS_AT_A_TIME * 9)"),
    "race of the threads beyond the last pixel": ("race", "if own < count:", "if own < count + 1:"),
    "race of all": ("race", "sums[part, i] = total", "sums[part, 0] = total"),
    "threads that leave before the barriers": ("never reach", "        part = np.uint32(cuda.blockIdx.y)\n",
                                               "        if own >= count:\n            return\n        part = np.uint32(cuda.blockIdx.y)\n"),
}  # fmt: skip


def mutant(module, old, new, folder):
    """A module with something else in its source, wherever that stands."""
    source = inspect.getsource(module)
    assert old in source, f"{old!r} is not there to be replaced"
    path = folder / f"{module.__name__.rpartition('.')[2]}_mutant.py"
    path.write_text(source.replace(old, new))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("name", MUTANTS)
def test_what_is_planted_in_the_render_kernel_is_found(name, tmp_path, monkeypatch, engine):
    what, old, new = MUTANTS[name]
    plan = plan_of(LINE, tmp_path)
    made = mutant(loops, old, new, tmp_path)
    for kernel in ("render_kernel", "finish"):
        monkeypatch.setattr(loops, kernel, getattr(made, kernel))
    with pytest.raises(BadInput, match="--backend cuda"):
        render(plan, "cuda")
    assert what in engine.complaint()
    engine.forget()
    monkeypatch.undo()
    assert_close_image(render(plan, "cuda").image, render(plan, "strict").image)  # and the engine goes on


@pytest.mark.parametrize("kernel", ["add_up", "solid_angles"])
def test_a_missing_barrier_in_figures_is_found(kernel, tmp_path, monkeypatch, engine):
    rendered = render(plan_of(LINE, tmp_path), "cuda")
    made = mutant(figures, "        cuda.syncthreads()\n", "        pass\n", tmp_path)
    monkeypatch.setattr(figures, kernel, getattr(made, kernel))
    figure = rendered.sums() if kernel == "add_up" else rendered.solid_angle(1)  # made on the host in the end
    assert figure and "race" in engine.complaint()
    engine.forget()
