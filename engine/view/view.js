// What a page of nb-view does in the browser: frames are decoded once, and only what the screen shows is drawn.
window.nbview = (function () {
  "use strict";
  const state = { data: null, levels: [], width: 0, height: 0, frame: 0, lut: null, kinds: {} };

  async function inflated(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return await new Response(stream).arrayBuffer();
  }

  function fromBase64(text) {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return bytes;
  }

  async function bytesOf(number) {
    const embedded = document.getElementById("frame-" + number);
    if (embedded) return fromBase64(embedded.textContent.trim());
    const answer = await fetch("frame/" + number);
    if (!answer.ok) throw new Error("frame " + number + ": " + answer.status);
    return new Uint8Array(await answer.arrayBuffer());
  }

  async function infoOf(number) {
    if (!state.info.frames[number]) {
      const answer = await fetch("info/" + number);
      if (!answer.ok) throw new Error("info " + number);
      state.info.frames[number] = await answer.json();
    }
    return state.info.frames[number];
  }

  // Each level holds the brightest of four pixels of the one before, so that spots stay when zoomed out.
  function pyramid(data, width, height) {
    const levels = [{ data: data, width: width, height: height, step: 1 }];
    while (width > 1024 || height > 1024) {
      const last = levels[levels.length - 1], w = (width + 1) >> 1, h = (height + 1) >> 1;
      const made = new Float32Array(w * h);
      for (let y = 0; y < h; y++) {
        for (let x = 0; x < w; x++) {
          let best = -Infinity;
          for (let dy = 0; dy < 2; dy++) {
            const row = Math.min(2 * y + dy, height - 1) * width;
            for (let dx = 0; dx < 2; dx++) {
              const v = last.data[row + Math.min(2 * x + dx, width - 1)];
              if (v > best) best = v;
            }
          }
          made[y * w + x] = best;
        }
      }
      width = w; height = h;
      levels.push({ data: made, width: w, height: h, step: levels[levels.length - 1].step * 2 });
    }
    return levels;
  }

  function shade(value, low, span, scale) {
    let x = (value - low) / span;
    x = x < 0 ? 0 : x > 1 ? 1 : x;
    if (scale === "sqrt") return Math.sqrt(x);
    if (scale === "log") return Math.log1p(x / 1e-4) / Math.log1p(1e4);
    return x;
  }

  // Fill the raster with what the axes show.
  function draw() {
    const m = state.models;
    if (!m || !state.data) return;
    const x0 = Math.min(m.x.start, m.x.end), x1 = Math.max(m.x.start, m.x.end);
    const y0 = Math.min(m.y.start, m.y.end), y1 = Math.max(m.y.start, m.y.end);
    const raster = m.source.data.image[0], shape = raster.shape, rows = shape[0], columns = shape[1];
    const pixels = new Uint32Array(raster.buffer, raster.byteOffset, rows * columns);
    const zoom = Math.max((x1 - x0) / columns, (y1 - y0) / rows);
    let level = state.levels[0];
    for (const other of state.levels) if (other.step <= zoom * 1.01) level = other;
    const high = Math.pow(10, m.contrast.value), scale = m.scale.value, gap = 0xffeee6df;
    const dx = (x1 - x0) / columns / level.step, dy = (y1 - y0) / rows / level.step;
    for (let j = 0; j < rows; j++) {
      const y = Math.floor(y0 / level.step + (j + 0.5) * dy);
      for (let i = 0; i < columns; i++) {
        const x = Math.floor(x0 / level.step + (i + 0.5) * dx);
        let colour = 0;
        if (x >= 0 && y >= 0 && x < level.width && y < level.height) {
          const v = level.data[y * level.width + x];
          if (!(v >= 0 || state.signed) || v !== v) colour = gap;
          else {
            const grey = 255 - Math.round(255 * shade(v, 0, high, scale));
            colour = (0xff << 24 | grey << 16 | grey << 8 | grey) >>> 0;
          }
        }
        pixels[j * columns + i] = colour;
      }
    }
    m.source.data.x = [x0]; m.source.data.y = [y0]; m.source.data.dw = [x1 - x0]; m.source.data.dh = [y1 - y0];
    m.source.change.emit();
    state.drawn = (state.drawn || 0) + 1;
  }

  let asked = false;
  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(function () { asked = false; draw(); });
  }

  // Frames that arrive after a later one was asked for are not shown.
  let ticket = 0;
  async function show(number) {
    const mine = ++ticket;
    let info, buffer;
    try {
      info = await infoOf(number);
      buffer = await inflated(await bytesOf(number));
    } catch (error) {
      if (mine === ticket && state.models) state.models.title.text = "frame " + number + " cannot be read";
      return;
    }
    if (mine !== ticket) return;
    const array = info.type === "float32" ? new Float32Array(buffer) : new Int32Array(buffer);
    state.data = array; state.width = info.width; state.height = info.height; state.frame = number;
    state.signed = info.type === "float32";
    state.levels = pyramid(array, info.width, info.height);
    if (state.models.title) state.models.title.text = info.title;
    overlay(info);
    draw();
  }

  function overlay(info) {
    const m = state.models;
    m.rings.data = info.rings; m.labels.data = info.labels; m.spots.data = info.spots;
  }

  function dot(a, b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

  // What is under the cursor, in words.
  function under(x, y) {
    const fast = Math.floor(x), slow = Math.floor(y);
    if (!state.data || fast < 0 || slow < 0 || fast >= state.width || slow >= state.height) return "";
    const v = state.data[slow * state.width + fast];
    let text = "slow " + slow + ", fast " + fast + ": " + (v < 0 && !state.signed ? "no pixel" :
      state.signed ? v.toPrecision(6) + " photons" : v + " counts");
    const g = state.info.frames[state.frame].geometry;
    if (!g) return text;
    const point = [0, 1, 2].map(k => g.origin[k] + g.pixel * (x * g.fast[k] + y * g.slow[k]));
    const length = Math.sqrt(dot(point, point));
    const q = [0, 1, 2].map(k => (point[k] / length - g.beam[k]) / g.wavelength);
    const inverse = Math.sqrt(dot(q, q)), half = Math.min(inverse * g.wavelength / 2, 1);
    text += "; d " + (inverse > 0 ? (1 / inverse).toFixed(3) : "infinite") + " Å, 2θ " +
      (2 * Math.asin(half) * 180 / Math.PI).toFixed(3) + "°";
    if (g.real) {
      const h = g.real.map(axis => dot(axis, q)), node = h.map(Math.round);
      text += "; hkl " + h.map(n => n.toFixed(2)).join(" ") + ", nearest " + node.join(" ");
      const F = amplitude(node);
      if (F !== null) text += " (F " + F.toPrecision(4) + ")";
    }
    return text;
  }

  function amplitude(node) {
    const t = state.table;
    if (!t) return null;
    const at = node.map((n, k) => n - t.low[k]);
    if (at.some((n, k) => n < 0 || n >= t.size[k])) return null;
    const F = t.data[(at[0] * t.size[1] + at[1]) * t.size[2] + at[2]];
    return F >= 0 ? F : null;
  }

  async function start(models) {
    state.models = models;
    state.info = JSON.parse(document.getElementById("nbview-info").textContent);
    const table = document.getElementById("nbview-table");
    if (table) {
      const about = state.info.table;
      state.table = { low: about.low, size: about.size,
        data: new Float32Array(await inflated(fromBase64(table.textContent.trim()))) };
    }
    await show(0);
    state.ready = true;
  }

  return { start: start, show: show, redraw: redraw, under: under, state: state };
})();
