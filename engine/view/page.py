"""A page for the browser: pan, zoom, contrast, rings, spots, frames, and what is under the cursor.

Frames travel compressed and whole; the browser draws only what the screen shows, from levels of brightest pixels.
"""

from __future__ import annotations

import base64
import gzip
import json
import pathlib
from typing import Any

import numpy as np

from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.structure_factors import StructureFactors
from nanobragg.engine.placed import Placed
from nanobragg.engine.view.picture import LABEL, RING, SPOT, Shown, ring, ring_resolutions
from nanobragg.engine.view.scale import SCALES, automatic

SCRIPT = pathlib.Path(__file__).with_name("view.js")
WIDTH, LARGEST_RASTER = 980, 1000
MOST_EMBEDDED = 200_000_000  # bytes of compressed frames in one file
CONTRAST_STEP = 0.02


def packed(pixels: np.ndarray) -> bytes:
    """Pixels as the page takes them: int32 or float32, compressed."""
    kind = np.float32 if pixels.dtype.kind == "f" else np.int32
    return gzip.compress(np.ascontiguousarray(pixels, kind).tobytes(), 5, mtime=0)


def page(frames: list[Shown], count: int, name: str, amplitudes: StructureFactors | None, *, embed: bool) -> str:
    """The text of a page.

    Parameters
    ----------
    frames
        Those that are known; of a page that asks for its frames, the first is enough to choose contrast by.
    count
        Number of frames.
    name
        Title of the page.
    amplitudes
        Those that are shown of the index under the cursor.
    embed
        Whether the page holds its frames itself, or asks for ``frame/N``.

    Raises
    ------
    BadInput
        If bokeh is missing, or the frames are too many for one file.
    """
    try:
        from bokeh.embed import file_html
        from bokeh.resources import INLINE
    except ImportError:
        raise BadInput("pages need bokeh: pip install 'nanobragg[view]', or take -o x.png") from None
    layout = _layout(frames[0], count)
    text = str(file_html(layout, INLINE, title=name))
    known = frames if embed else frames[:1]
    parts = [f'<script type="application/json" id="nbview-info">{_info(known, amplitudes)}</script>']
    if embed:
        packs = [packed(frame.pixels) for frame in frames]
        if sum(map(len, packs)) > MOST_EMBEDDED:
            raise BadInput(f"{sum(map(len, packs)) / 1e6:.0f} MB of frames are too many for one page: give fewer")
        parts += [_embedded(f"frame-{n}", pack) for n, pack in enumerate(packs)]
    if amplitudes is not None:
        parts.append(_embedded("nbview-table", gzip.compress(_table(amplitudes).tobytes(), 5, mtime=0)))
    parts.append(f"<script>{SCRIPT.read_text(encoding='utf-8')}</script>")
    at = text.rindex("</body>")
    return text[:at] + "\n".join(parts) + text[at:]


def _embedded(name: str, data: bytes) -> str:
    return f'<script type="application/octet-stream" id="{name}">{base64.b64encode(data).decode()}</script>'


def _table(amplitudes: StructureFactors) -> np.ndarray:
    size = np.diff(amplitudes.bounds, axis=1).ravel() + 1
    h, k, x = (slice(0, n) for n in size)
    return np.ascontiguousarray(amplitudes.table[h, k, x], np.float32)


def _info(frames: list[Shown], amplitudes: StructureFactors | None) -> str:
    about: dict[str, Any] = {"frames": {n: frame_info(frame) for n, frame in enumerate(frames)}}
    if amplitudes is not None:
        bounds = amplitudes.bounds
        about["table"] = {"low": bounds[:, 0].tolist(), "size": (np.diff(bounds, axis=1).ravel() + 1).tolist()}
    return json.dumps(about).replace("</", "<\\/")


def frame_info(frame: Shown) -> dict[str, Any]:
    """What a page knows of a frame beside its pixels."""
    slow, fast = frame.pixels.shape
    info: dict[str, Any] = {
        "width": fast, "height": slow, "title": frame.title,
        "type": "float32" if frame.pixels.dtype.kind == "f" else "int32", "geometry": None,
        "rings": {"xs": [], "ys": []}, "labels": {"x": [], "y": [], "text": []},
        "spots": {"x": [], "y": [], "text": []},
    }  # fmt: skip
    if frame.placed is not None:
        info |= _geometry(frame.placed)
    if frame.spots is not None:
        info["spots"] = {"x": frame.spots[:, 1].tolist(), "y": frame.spots[:, 0].tolist(), "text": list(frame.labels)}
    return info


def _geometry(placed: Placed) -> dict[str, Any]:
    real = None if placed.reciprocal is None else np.linalg.inv(placed.reciprocal).T.tolist()
    xs, ys, labels = [], [], {"x": [], "y": [], "text": []}  # type: ignore[var-annotated]
    slow, fast = placed.shape
    for d in ring_resolutions(placed):
        points = ring(placed, d)
        if points is None:
            continue
        inside = (points >= 0).all(axis=1) & (points[:, 0] < slow) & (points[:, 1] < fast)
        points = np.where(np.isfinite(points), points, np.nan)
        xs.append([None if x != x else round(x, 1) for x in points[:, 1].tolist()])
        ys.append([None if y != y else round(y, 1) for y in points[:, 0].tolist()])
        if inside.any():
            at = np.flatnonzero(inside)[np.argmax(points[inside, 1])]
            labels["x"].append(float(points[at, 1]))
            labels["y"].append(float(points[at, 0]))
            labels["text"].append(f"{d:g} Å")
    geometry = {
        "origin": placed.origin.tolist(), "fast": placed.fast.tolist(), "slow": placed.slow.tolist(),
        "beam": placed.beam.tolist(), "pixel": placed.pixel_size, "wavelength": placed.wavelength_A, "real": real,
    }  # fmt: skip
    return {"geometry": geometry, "rings": {"xs": xs, "ys": ys}, "labels": labels}


def _layout(frame: Shown, count: int) -> Any:
    """The plot and what it is steered by; names are for tests."""
    from bokeh import models as bokeh_models
    from bokeh.document import Document
    from bokeh.events import DocumentReady, MouseMove
    from bokeh.layouts import column, row

    models: Any = bokeh_models
    plot, source = _plot(frame)
    of_rings, of_spots, sources = _marks(plot)
    contrast, scale, shown = _controls(frame)
    under = models.Div(name="under", text="&nbsp;", width=WIDTH, styles={"font-family": "monospace"})
    told = {"x": plot.x_range, "y": plot.y_range, "source": source, "contrast": contrast, "scale": scale,
            "title": plot.title, **sources}  # fmt: skip
    redraw = models.CustomJS(code="window.nbview.redraw()")
    ends = [(model, name) for model in (plot.x_range, plot.y_range) for name in ("start", "end")]
    for model, name in [*ends, (contrast, "value"), (scale, "value")]:
        model.js_on_change(name, redraw)
    plot.js_on_event(MouseMove, models.CustomJS(
        args={"under": under}, code="under.text = window.nbview.under(cb_obj.x, cb_obj.y) || '&nbsp;'"))  # fmt: skip
    shown.js_on_change("active", models.CustomJS(args={"rings": of_rings, "spots": of_spots}, code=(
        "for (const r of rings) r.visible = cb_obj.active.includes(0);"
        "for (const s of spots) s.visible = cb_obj.active.includes(1);")))  # fmt: skip
    controls = [contrast, scale, shown]
    if count > 1:
        slider = models.Slider(name="frame", start=0, end=count - 1, value=0, step=1, title="frame", width=300)
        slider.js_on_change("value", models.CustomJS(code="window.nbview.show(cb_obj.value)"))
        controls.insert(0, slider)
    begin = models.CustomJS(args=told, code=f"window.nbview.start({{{', '.join(told)}}})")
    document = Document()
    document.add_root(column(row(*controls), plot, under))
    document.js_on_event(DocumentReady, begin)
    return document


def _plot(frame: Shown) -> tuple[Any, Any]:
    """The plot of an image in detector pixels, and the source of its shades."""
    from bokeh import models as bokeh_models
    from bokeh.plotting import figure

    models: Any = bokeh_models
    slow, fast = frame.pixels.shape
    height = int(min(WIDTH * slow / fast, 1.3 * WIDTH)) + 60
    raster = tuple(int(min(LARGEST_RASTER, LARGEST_RASTER * n / m)) for n, m in ((slow, fast), (fast, slow)))
    blank = np.zeros(raster, np.uint32)
    source = models.ColumnDataSource({"image": [blank], "x": [0], "y": [0], "dw": [fast], "dh": [slow]})
    plot = figure(
        name="plot", width=WIDTH, height=height, x_range=models.Range1d(start=0, end=fast),
        y_range=models.Range1d(start=slow, end=0), match_aspect=True,
        tools="pan,wheel_zoom,box_zoom,reset,save", active_scroll="wheel_zoom", x_axis_label="fast / pixels",
        y_axis_label="slow / pixels", background_fill_color="#f4f4f4", output_backend="canvas",
    )  # fmt: skip
    plot.title = models.Title(text=frame.title)
    plot.grid.visible = False
    plot.image_rgba("image", "x", "y", "dw", "dh", source=source)
    return plot, source


def _marks(plot: Any) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """What is drawn of resolution rings, of predicted spots, and the sources of both."""
    from bokeh.models import ColumnDataSource

    rings = ColumnDataSource({"xs": [], "ys": []})
    labels, spots = (ColumnDataSource({"x": [], "y": [], "text": []}) for _ in range(2))
    of_rings = [
        plot.multi_line("xs", "ys", source=rings, line_color=RING, line_width=1, line_alpha=0.8),
        plot.text("x", "y", "text", source=labels, text_color=LABEL, text_font_size="12px", text_align="right",
                  text_baseline="middle", background_fill_color="white", background_fill_alpha=0.7),
    ]  # fmt: skip
    of_spots = [
        plot.scatter("x", "y", source=spots, size=9, fill_alpha=0, line_color=SPOT),
        plot.text("x", "y", "text", source=spots, text_color=SPOT, text_font_size="10px", x_offset=6, y_offset=-4),
    ]
    for glyph in of_spots:
        glyph.visible = False
    return of_rings, of_spots, {"rings": rings, "labels": labels, "spots": spots}


def _controls(frame: Shown) -> tuple[Any, Any, Any]:
    """What sets contrast, scale, and which marks are shown."""
    from bokeh import models as bokeh_models

    models: Any = bokeh_models
    middle = float(np.log10(max(automatic(frame.pixels).highest, 1e-6)))
    contrast = models.Slider(name="contrast", start=middle - 3, end=middle + 3, value=middle, step=CONTRAST_STEP,
                             title="black from 10^", width=260)  # fmt: skip
    scale = models.Select(name="scale", options=list(SCALES), value="sqrt", width=90)
    labels = ["resolution rings", "predicted spots"]
    return contrast, scale, models.CheckboxGroup(name="shown", labels=labels, active=[0], inline=True)
