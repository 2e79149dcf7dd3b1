"""A scene's photons: those of all its crystals, and what surrounds them."""

from __future__ import annotations

from typing import Any

from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import default_threads, render
from nanobragg.engine.scene.scene import NO_SHADE, Scene
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.plan import RenderPlan


def expose(scene: Scene, plan: RenderPlan, backend: str, *, threads: int | None = None, **how: Any) -> Rendered:
    """Render a scene.

    Parameters
    ----------
    scene
        What is rendered.
    plan
        That of the scene, or of its first crystal.
    backend, threads, how
        As those of `nanobragg.engine.render.render`; the errors too.
    """
    others = {name: value for name, value in how.items() if name != "progress"}
    used = threads or default_threads()

    def complete(rendered: Rendered) -> None:
        for alone in scene.each_crystal[1:]:
            plan_of_other = plan_of(alone).changed(background=0.0, water=False)
            rendered.add(render(plan_of_other, backend, threads=threads, **others))
        if scene.scatterers or scene.shade != NO_SHADE:
            from nanobragg.engine.surroundings.around import surroundings_of  # a bare sample starts without

            rendered.surround(surroundings_of(scene, used), used)

    return render(plan, backend, threads=threads, then=complete, **how)
