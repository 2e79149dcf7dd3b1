"""nb-view: pictures whose pixels are looked at, sources of all formats, and pages driven in a real browser."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import h5py
import numpy as np
import pytest
from PIL import Image

import nanobragg as nb
from nanobragg.cli.nanobragg.command import main as nanobragg
from nanobragg.cli.tools.view import Album, main
from nanobragg.engine.placed import of_scene
from nanobragg.engine.view import scale
from nanobragg.engine.view.page import packed, page
from nanobragg.engine.view.picture import Shown, brightest_of_blocks, ring, ring_resolutions
from nanobragg.engine.view.server import server
from nanobragg.engine.view.sources import source_of
from tests.batch_support import wait_until, write_job
from tests.support import REQUIRED, working_in

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
LINE = (
    "-cell 50 60 70 90 90 90 -default_F 100 -distance 120 -pixel 0.3 -detpixels_x 240 -detpixels_y 200 -lambda 1.1 -N 8 "
    "-oversample 1 -fluence 1e29 -seed 7 -misset 10 20 30 -osc 0.5 -phisteps 3 --detector Pilatus300K -detector_thick 0 "
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One image in several formats, without gaps."""
    folder = tmp_path_factory.mktemp("view")
    words = [w for n in ("a.h5", "a.cbf", "a.img", "a.npy") for w in ("--output", n)] + ["--output-noiseless", "p.h5"]
    with working_in(folder):
        assert nanobragg([*LINE.split(), *words, "--only-output"]) == 0
    return folder


def crystal_set_up():
    crystal = nb.Crystal(cell=(50, 60, 70, 90, 90, 90), N=(8, 8, 8), misset_deg=(10, 20, 30))
    detector = nb.Detector((200, 240), pixel_mm=0.3, distance_mm=120)
    return nb.set_up(crystal, detector, nb.constant(100.0), nb.Beam(1.1), nb.Scan(0, 0.5, 3), oversample=1, quirks="c")


def test_files_say_where_they_were_taken(files):
    """The same points see the same resolution by NXmx, CBF and SMV as by the experiment itself."""
    true = of_scene(crystal_set_up())
    slow, fast = np.array([0.5, 10.0, 150.0, 199.5]), np.array([3.0, 200.0, 120.0, 0.5])
    for name in ("a.h5", "p.h5", "a.cbf", "a.img"):
        placed = source_of(str(files / name)).placed(0)
        np.testing.assert_allclose(placed.resolution(slow, fast), true.resolution(slow, fast), rtol=2e-4, err_msg=name)
        np.testing.assert_allclose(placed.beam_center(), true.beam_center(), atol=0.01, err_msg=name)
    placed = source_of(str(files / "a.h5")).placed(0)
    np.testing.assert_allclose(placed.hkl(slow, fast), true.hkl(slow, fast), atol=2e-3)
    assert source_of(str(files / "a.npy")).placed(0) is None


def test_rings_are_where_their_resolution_is():
    placed = of_scene(crystal_set_up())
    for d in ring_resolutions(placed):
        points = ring(placed, d)
        np.testing.assert_allclose(placed.resolution(*points.T), d, rtol=1e-9)
    assert 3 <= len(ring_resolutions(placed)) <= 6 and ring(placed, 0.1) is None


def png(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.mark.parametrize("name", ["a.h5", "a.cbf", "a.img", "a.npy", "p.h5"])
def test_pictures(name, files, tmp_path, capsys):
    target = tmp_path / "x.png"
    assert main([str(files / name), "-o", str(target), "--width", "700"]) == 0
    assert capsys.readouterr().out.strip() == str(target)
    shown = png(target)
    assert abs(shown.shape[1] - 700) <= 2 and (shown.sum(axis=2) < 150).sum() > 100  # spots are black
    red = (shown[..., 0] - shown[..., 2] > 60).sum()
    assert (red > 300) == (name != "a.npy")  # rings, where the file says where it was taken


def test_a_spot_is_where_it_is_in_the_picture(tmp_path):
    image = np.zeros((50, 80), np.float32)
    image[10, 60] = 100.0
    np.save(tmp_path / "a.npy", image)
    words = [str(tmp_path / "a.npy"), "-o", str(tmp_path / "a.png"), "--range", "0", "100", "--width", "800"]
    assert main(words) == 0
    shown = png(tmp_path / "a.png")
    dark = (shown < 60).all(axis=2)[:, :730]  # without the colour bar
    left, right = np.flatnonzero(dark.sum(axis=0) > 0.4 * len(dark))[[0, -1]]  # the frame of the axes
    top, bottom = np.flatnonzero(dark[:, left : right + 1].sum(axis=1) > 0.9 * (right - left))[[0, -1]]
    inside = np.argwhere(dark[top + 5 : bottom - 4, left + 5 : right - 4]) + 5
    assert len(inside) > 20
    slow, fast = inside.mean(axis=0) / (bottom - top, right - left) * (50, 80)
    assert abs(slow - 10.5) < 0.5 and abs(fast - 60.5) < 0.5
    assert main([*words, "--crop", "55", "65", "5", "15", "--scale", "log"]) == 0
    (left, right), (top, bottom) = (
        (a.min(), a.max()) for a in np.nonzero(png(tmp_path / "a.png").sum(axis=2)[30:-80, 80:-150] < 60)[::-1]
    )
    assert right - left > 20 and bottom - top > 20  # one pixel of eleven is large


def test_contact_sheets_and_two_side_by_side(files, tmp_path, capsys):
    assert main([str(files / "a.h5"), str(files / "p.h5"), "-o", str(tmp_path / "two.png")]) == 0
    wide = png(tmp_path / "two.png").shape
    assert wide[1] > 1.5 * wide[0]
    from nanobragg.cli.batch.command import main as nb_batch

    line = "-cell 50 60 70 90 90 90 -default_F 100 -distance 100 -pixel 1 -detpixels 32 -N 5 -oversample 1"
    job = write_job(tmp_path, line, images=23, images_per_shard=5)
    assert nb_batch(["run", str(job), "--no-sheet"]) == 0
    capsys.readouterr()
    assert main([str(tmp_path / "out" / "master.h5"), "-o", str(tmp_path / "sheet.png")]) == 0
    assert "23 images: the first 20 are shown" in capsys.readouterr().err
    assert main([f"{tmp_path / 'out' / 'master.h5'}:7", "-o", str(tmp_path / "one.png")]) == 0
    album = Album([source_of(str(tmp_path / "out" / "master.h5"))], spots=True)
    with h5py.File(tmp_path / "out" / "master.h5") as file:
        frame = file["entry/data/data"][7]
    np.testing.assert_array_equal(album.frame(7).pixels, frame)
    assert len(album) == 23 and album.frame(7).title == "master.h5, frame 7" and len(album.frame(7).spots)


@pytest.mark.parametrize("words, says", {
    "none.h5 -o x.png": "No such file", "a.h5 -o x.jpg": "pictures are PNG", "a.h5:5 -o x.png": "has 1 frames",
    "a.h5 -o x.png --crop 900 950 0 5": "no pixel of", "a.h5 -o x.png --range 5 5": "must be above the first",
    "a.h5 -o x.png --width 5": "--width 5", "a.h5 -o x.png --across 0": "--across 0", "a.h5 --html a.h5": "is an image that is read",
    "empty -o x.png": "is empty", "bad.h5 -o x.png": "cannot be read", "a.h5 --html x.html --amplitudes none": "none: No such",
    "a.h5 -o no/x.png": "the folder", ". -o x.png": "is no file", "a.h5:0 --html a.h5": "is an image that is read",
    "group.h5 -o x.png": "holds no image", "text.h5 -o x.png": "holds no image", "none.h5:3 -o x.png": "No such file",
    "nothing.h5 -o x.png": "holds no image",
}.items())  # fmt: skip
def test_what_cannot_be_shown(words, says, files, tmp_path, capsys):
    for name in ("a.h5",):
        shutil.copy(files / name, tmp_path / name)
    (tmp_path / "empty").write_bytes(b"")
    for name, value in {"text": "abc", "nothing": np.zeros((0, 5, 5))}.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"] = value
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file.create_group("data")
    (tmp_path / "bad.h5").write_bytes((files / "a.h5").read_bytes()[:900])
    before = sorted(p.name for p in tmp_path.iterdir())
    with working_in(tmp_path):
        assert main(words.split()) in (2, 9)
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1 and err[0].startswith("nb-view: ") and says in err[0], err
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_ranges_and_shades():
    image = np.zeros((100, 100), np.int32)
    image[::10, ::10] = 50
    image[5, 5] = 10**6
    image[50] = -1
    found = scale.automatic(image)
    assert found.lowest == 0 and 0 < found.highest <= 50
    for name in scale.SCALES:
        shades = scale.shades(image, name, found)
        assert np.isnan(shades[50]).all() and shades[5, 5] == 1 and shades[1, 1] == 0
    assert scale.automatic(np.full((3, 3), -1)) == scale.GreyRange(0.0, 1.0)
    assert scale.automatic(np.full((3, 3), np.nan)) == scale.GreyRange(0.0, 1.0)
    big = np.zeros((3000, 100), np.int32)
    big[2999, 99] = 7
    blocks, step = brightest_of_blocks(big, 100)
    assert blocks.max() == 7 and step == 20 and max(blocks.shape) <= 150


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, without a window."""
    if not (os.path.exists(CHROMIUM) and os.path.exists(DRIVER)):
        if "browser" in REQUIRED:
            pytest.fail("a browser is required (NANOBRAGG_REQUIRE=browser): apt-get install chromium chromium-driver")
        pytest.skip("no browser here: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(service=Service(DRIVER), options=options)
    made.set_page_load_timeout(30)
    made.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1100, "height": 1300, "deviceScaleFactor": 1, "mobile": False}
    )
    yield made
    made.quit()


def opened(browser, address):
    browser.get(address)
    wait_until(lambda: browser.execute_script("return !!(window.nbview && nbview.state.ready)"), 30)
    return browser


def errors(browser):
    return [
        entry
        for entry in browser.get_log("browser")
        if entry["level"] == "SEVERE" and "favicon" not in entry["message"]
    ]


TO_SCREEN = """const v = Bokeh.index.find_one_by_id(Bokeh.documents[0].get_model_by_name('plot').id);
const r = v.canvas_view.el.getBoundingClientRect(), f = v.frame;
return [r.left + f.x_scale.compute(arguments[0]), r.top + f.y_scale.compute(arguments[1])]"""


def point_at(browser, slow, fast):
    """Move the mouse to a place of the image; what the page says of it."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    x, y = browser.execute_script(TO_SCREEN, fast + 0.5, slow + 0.5)
    moves = ActionBuilder(browser, duration=0)
    moves.pointer_action.move_to_location(round(x) + 40, round(y))
    moves.pointer_action.move_to_location(round(x), round(y))
    moves.perform()
    text = "return Bokeh.documents[0].get_model_by_name('under').text"
    wait_until(lambda: f"slow {slow}, fast {fast}:" in browser.execute_script(text), 10)
    return browser.execute_script(text)


def screenshot(browser, path):
    browser.save_screenshot(str(path))
    return png(path)


@pytest.fixture
def kept(files, tmp_path):
    """A page in one file, of two images, with amplitudes."""
    (tmp_path / "f.hkl").write_text(
        "".join(f"{h} {k} {x} {100 + h}\n" for h in range(-9, 10) for k in range(-9, 10) for x in range(-9, 10))
    )
    words = [
        str(files / "a.h5"),
        str(files / "p.h5"),
        "--html",
        str(tmp_path / "x.html"),
        "--amplitudes",
        str(tmp_path / "f.hkl"),
    ]
    assert main(words) == 0
    return tmp_path / "x.html"


def test_a_page_says_what_is_under_the_cursor(kept, files, browser):
    opened(browser, f"file://{kept}")
    counts = nb.read_image(files / "a.h5")
    slow, fast = (int(i) for i in np.unravel_index(np.argmax(counts), counts.shape))
    said = point_at(browser, slow, fast)
    true = of_scene(crystal_set_up())
    d, two_theta = (float(f(slow + 0.5, fast + 0.5)) for f in (true.resolution, true.two_theta_deg))
    h = true.hkl(slow + 0.5, fast + 0.5)
    assert f": {counts[slow, fast]} counts;" in said
    numbers = said.split("; d ")[1].split()
    assert float(numbers[0]) == pytest.approx(d, abs=0.02 * d) and float(numbers[3].rstrip("°;")) == pytest.approx(
        two_theta, abs=0.05
    )
    node = " ".join(str(int(n)) for n in np.rint(h))
    assert f"nearest {node} (F {100 + round(h[0]):.1f}" in said, said
    assert not errors(browser)


def test_a_page_is_drawn_zoomed_and_steered(kept, files, browser, tmp_path):
    opened(browser, f"file://{kept}")
    first = screenshot(browser, tmp_path / "1.png")
    assert (first.sum(axis=2) < 150).sum() > 200 and ((first[..., 0] - first[..., 2]) > 60).sum() > 500  # spots; rings
    browser.execute_script("Bokeh.documents[0].get_model_by_name('shown').active = []")
    browser.execute_script(
        "const m = nbview.state.models; m.x.start = 100; m.x.end = 120; m.y.start = 110; m.y.end = 90;"
    )
    drawn = "return nbview.state.drawn"
    wait_until(lambda: browser.execute_script(drawn) >= 2, 10)
    raster = browser.execute_script(
        "const r = nbview.state.models.source.data.image[0]; return [r.shape, Array.from(new Uint8Array(r.buffer)).filter((v, k) => k % 4 === 0)]"
    )
    grey = np.array(raster[1]).reshape(raster[0])
    counts = nb.read_image(files / "a.h5")[90:110, 100:120]
    rows, columns = (((np.arange(n) + 0.5) * 20 / n).astype(int) for n in grey.shape)
    high = 10 ** browser.execute_script("return nbview.state.models.contrast.value")
    wanted = 255 - np.rint(255 * np.sqrt(np.clip(counts[np.ix_(rows, columns)] / high, 0, 1)))
    assert np.abs(grey - wanted).max() <= 1
    before = browser.execute_script(drawn)
    browser.execute_script("Bokeh.documents[0].get_model_by_name('contrast').value -= 1")
    wait_until(lambda: browser.execute_script(drawn) > before, 10)
    darker = screenshot(browser, tmp_path / "2.png")
    assert darker.shape == first.shape and (darker != first).any()
    browser.execute_script("Bokeh.documents[0].get_model_by_name('frame').value = 1")
    wait_until(lambda: browser.execute_script("return nbview.state.frame") == 1, 10)
    assert "photons" in point_at(browser, 95, 110) and not errors(browser)


def test_spots_are_an_overlay_with_labels(kept, browser):
    opened(browser, f"file://{kept}")
    spots = browser.execute_script("return nbview.state.models.spots.data")
    placed = of_scene(crystal_set_up())
    assert len(spots["x"]) > 5
    for x, y, text in zip(spots["x"], spots["y"], spots["text"], strict=True):
        np.testing.assert_allclose(placed.hkl(y, x), [int(n) for n in text.split()], atol=0.12)


def test_large_frames_move_smoothly(browser, tmp_path):
    """16 Mpixel: what is drawn is as much as the screen shows."""
    rng = np.random.default_rng(1)
    image = rng.poisson(1.0, (4362, 4148)).astype(np.int32)
    (tmp_path / "x.html").write_text(page([Shown(image, "large")], 1, "large", None, embed=True))
    opened(browser, f"file://{tmp_path / 'x.html'}")
    took = browser.execute_async_script("""const done = arguments[0], m = nbview.state.models, begun = performance.now();
        let k = 0;
        function step() { m.x.start = 40 * k; m.x.end = 2000 + 40 * k; m.y.end = 30 * k; m.y.start = 2000 + 30 * k;
          if (++k < 30) requestAnimationFrame(step); else done((performance.now() - begun) / k); }
        step();""")
    assert took < 1000.0 and not errors(browser)  # ms a frame, on a machine with two busy cores; 17 alone


@pytest.fixture
def served(files):
    album = Album([source_of(str(files / "a.h5"))], spots=True)
    made, address = server(page([album.frame(0)], 1, "a", None, embed=False), 1, album.frame)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield address
    made.shutdown()
    made.server_close()


def test_a_page_from_the_server(served, browser):
    opened(browser, served)
    assert "counts" in point_at(browser, 50, 60) and not errors(browser)


def test_a_server_answers_those_who_know_its_address(served, capfd):
    host, port = served.split("/")[2].split(":")
    assert host == "127.0.0.1"
    for path in ("/", "/wrong/", "/frame/0", f"/{served.split('/')[3][:-1]}x/frame/0"):
        asked = http.client.HTTPConnection(host, int(port))
        asked.request("GET", path)
        assert asked.getresponse().status == 404
    with urllib.request.urlopen(served + "info/0") as answer:
        assert json.load(answer)["width"] == 240
    for wrong in ("frame/1", "frame/x", "../etc/passwd", "frame/%C2%B2"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(served + wrong)
    hasty = http.client.HTTPConnection(host, int(port))  # a browser that goes away
    hasty.request("GET", f"/{served.split('/')[3]}/frame/0")
    hasty.close()
    assert "Traceback" not in capfd.readouterr().err


def test_the_command_serves_until_interrupted(files):
    line = [sys.executable, "-m", "nanobragg.cli.tools.view", str(files / "a.h5"), "--no-browser"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tool:
        address = tool.stdout.readline().strip()
        with urllib.request.urlopen(address) as answer:
            assert b"nbview" in answer.read()
        tool.send_signal(2)
        assert tool.wait(20) == 0


def test_frames_travel_as_they_are():
    import gzip

    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert np.frombuffer(gzip.decompress(packed(image)), np.int32).tolist() == list(range(12))


def test_axes_that_depend_on_themselves_place_nothing(files, tmp_path):
    shutil.copy(files / "a.h5", tmp_path / "loop.h5")
    with h5py.File(tmp_path / "loop.h5", "r+") as file:
        file["entry/instrument/detector/module/module_offset"].attrs["depends_on"] = (
            "/entry/instrument/detector/module/module_offset"
        )
    assert source_of(str(tmp_path / "loop.h5")).placed(0) is None
    shutil.copy(files / "a.h5", tmp_path / "nan.h5")
    with h5py.File(tmp_path / "nan.h5", "r+") as file:
        file["entry/ground_truth/orientation_nexus"][0] = np.nan
    assert source_of(str(tmp_path / "nan.h5")).placed(0) is None
