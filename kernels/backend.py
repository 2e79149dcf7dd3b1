"""What a backend is: whatever renders a plan, behind one declared protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from nanobragg.kernels.image.rendered import Rendered
    from nanobragg.kernels.plan import RenderPlan


class Unavailable(Exception):
    """Why a backend cannot be used here, in words for the user."""


class Capabilities(NamedTuple):
    """What a backend can do, asked before it is given a plan."""

    exact: bool  # bit for bit the original, whatever the plan
    options: tuple[str, ...] = ()  # what ``render`` takes beside threads and progress
    threads: bool = True  # whether more threads are quicker


class Backend(Protocol):
    """Renders plans. A module is one; `nanobragg.kernels.backends` knows them all by their names."""

    CAPABILITIES: Capabilities

    def check(self, **options: Any) -> None:
        """Raise `Unavailable` if it cannot be used on this machine."""

    def render(
        self,
        plan: RenderPlan,
        *,
        threads: int = 1,
        progress: Callable[[int], None] | None = None,
        **options: Any,
    ) -> Rendered:
        """Render a plan; the `Rendered` makes sums, integers and noise of it.

        Parameters
        ----------
        plan
            What to render.
        threads
            How many share the pixels; the image does not depend on it.
        progress
            Called with the number of pixels rendered so far; an exception from it ends the run.
        options
            The backend's own, those of its capabilities.
        """
