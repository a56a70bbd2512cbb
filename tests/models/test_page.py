"""A network as one HTML file: its WebAssembly gives the same bits, and the page shows the class of an image."""

import base64
import importlib.util
import json
import re

import numpy as np
import pytest
import torch
from chromium import PROGRAM, Browser
from PIL import Image
from test_c_export import HOSTILE, model_of, network_program
from test_onebit_engines import every_operation, whole_vectors

from models.onebit import portable
from models.onebit.operations import Activation, Geometry, GlobalAverage, Pool, Reduction, Shape
from models.onebit.program import Program
from models.onebit.standalone import page as pages
from models.onebit.standalone.page import PLAIN, SIMD, PageError, page, wasm, write_page
from search.data.sources.decode import as_channels, fit

compiles = pytest.mark.skipif(not importlib.util.find_spec("ziglang"), reason="ziglang is not installed")
browses = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")


def logits_of(module, program, images):
    """What a module of WebAssembly makes of images of bytes, (N, H, W, C)."""
    wasmtime = pytest.importorskip("wasmtime")
    store = wasmtime.Store()
    compiled = wasmtime.Module(store.engine, module)
    assert compiled.imports == []
    exports = wasmtime.Instance(store, compiled, []).exports(store)
    memory, start, found = exports["memory"], exports["pixels"](store), exports["logits"](store)
    result = b""
    for image in images:
        memory.write(store, image.tobytes(), start)
        exports["run"](store)
        result += memory.read(store, found, found + 4 * program.classes)
    return np.frombuffer(result, np.float32).reshape(-1, program.classes)


def normalised(images):
    return (images.astype(np.float32) / 255 - np.float32(0.4)) / np.float32(0.3)


@compiles
@pytest.mark.parametrize("processor", [PLAIN, SIMD])
@pytest.mark.parametrize("make", [every_operation, pytest.param(whole_vectors, marks=pytest.mark.slow)])
def test_webassembly_gives_the_same_bits(make, processor):
    program = make(Activation.RPRELU)
    images = np.random.default_rng(0).integers(0, 256, (3, *program.image[1:], 3), np.uint8)
    found = logits_of(wasm(model_of(program), processor), program, images)
    np.testing.assert_array_equal(found, portable.run(program, normalised(images)))


# The page in a browser -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def digits():
    return network_program("nasbnn-digits")


@pytest.fixture(scope="module")
def digits_page(tmp_path_factory, digits):
    path = tmp_path_factory.mktemp("page") / "digits.html"
    assert write_page(path, model_of(digits, space="nasbnn-digits")) == path.stat().st_size
    return path


@compiles
@browses
def test_the_page_shows_the_class_of_a_file_and_asks_for_nothing(browser, digits_page, digits, tmp_path):
    browser.requests.clear()
    browser.open(digits_page)
    assert browser.evaluate("document.title") == "A 1-bit network of nasbnn-digits"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    browser.choose("#file", tmp_path / "image.png")
    browser.wait_for("document.getElementById('time').textContent")
    logits = portable.run(digits, normalised(pixels[None, :, :, None]))[0]
    share = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    best = browser.evaluate("document.getElementById('best').textContent")
    assert best == f"class {logits.argmax()}, {100 * share.max():.1f} %"
    assert "ms an image, WebAssembly with SIMD" in browser.evaluate("document.getElementById('time').textContent")
    assert browser.evaluate("document.querySelectorAll('#classes li').length") == 10
    flat = json.dumps(pixels.ravel().tolist())
    assert browser.evaluate(f"classify(Uint8Array.from({flat})).then(found => found.logits)") == logits.tolist()
    assert browser.requests == [digits_page.as_uri()]
    assert browser.problems == []


@compiles
@browses
def test_the_page_refuses_what_is_no_image(browser, digits_page, tmp_path):
    browser.open(digits_page)
    (tmp_path / "text.png").write_text("no image")
    browser.choose("#photo", tmp_path / "text.png")
    browser.wait_for("document.getElementById('problem').textContent")
    problem = browser.evaluate("document.getElementById('problem').textContent")
    assert problem == "text.png is no image that this browser reads."
    assert browser.evaluate("document.getElementById('best').textContent") == "No image yet"


@compiles
@browses
def test_a_drawing_is_classified_by_mouse_and_by_keyboard(browser, digits_page):
    browser.open(digits_page)
    box = "document.getElementById('drawing').getBoundingClientRect()"
    left, top, width = browser.evaluate(f"(box => [box.left, box.top, box.width])({box})")
    browser.mouse("mousePressed", left + width / 4, top + width / 4)
    browser.mouse("mouseMoved", left + width / 2, top + width / 4)
    browser.mouse("mouseReleased", left + width / 2, top + width / 4)
    browser.wait_for("document.getElementById('time').textContent")
    row = browser.evaluate("Array.from(document.getElementById('seen').getContext('2d').getImageData(0, 2, 8, 1).data)")
    assert min(row[8:16:4]) > 60
    assert row[28] == row[24] == 0
    browser.evaluate("document.getElementById('clear').click(); document.getElementById('time').textContent = ''")
    browser.evaluate("document.getElementById('drawing').focus()")
    for key in (" ", "ArrowRight", "ArrowDown"):
        browser.press(key)
    browser.wait_for("document.getElementById('time').textContent")
    assert "The pen is down" in browser.evaluate("document.getElementById('draw-help').textContent")


@compiles
@browses
@pytest.mark.parametrize("crop", [1.0, 0.8])
def test_images_are_resized_as_those_of_a_run(browser, tmp_path, crop):
    """Within 1 of 255: torchvision rounds its weights, too."""
    program = Program(Shape(3, 24, 24), (Pool(0, Reduction.MEAN, Geometry(2, 2)), GlobalAverage(1)))
    model = model_of(program)
    object.__setattr__(model, "centre_crop", crop)
    path = tmp_path / "page.html"
    write_page(path, model)
    browser.open(path)
    for height, width in ((24, 24), (61, 40), (17, 93), (30, 30)):
        image = np.random.default_rng(height).integers(0, 256, (height, width, 4), np.uint8)
        image[..., 3] = 255
        found = browser.evaluate(
            f"Array.from(fit(Uint8ClampedArray.from({json.dumps(image.ravel().tolist())}), {width}, {height}))"
        )
        wanted = fit(torch.from_numpy(image[..., :3].transpose(2, 0, 1).copy()), 24, crop).permute(1, 2, 0).numpy()
        assert np.abs(np.array(found).reshape(24, 24, 3) - wanted.astype(int)).max() <= 1


@compiles
@browses
def test_colours_become_grey_as_those_of_a_run(browser, digits_page):
    browser.open(digits_page)
    image = np.random.default_rng(3).integers(0, 256, (8, 8, 4), np.uint8)
    image[:4, :, 1:3] = image[:4, :, :1]  # grey already
    found = browser.evaluate(f"Array.from(fit({json.dumps(image.ravel().tolist())}, 8, 8))")
    wanted = as_channels(torch.from_numpy(image[..., :3].transpose(2, 0, 1).copy()), 1).numpy().ravel().astype(int)
    wanted[:32] = image[:4, :, 0].ravel()
    assert np.abs(np.array(found) - wanted).max() <= 1


@compiles
@browses
def test_names_and_facts_survive_whatever_is_in_them(browser, tmp_path):
    program = Program(Shape(len(HOSTILE), 1, 1), (GlobalAverage(0),))
    with pytest.raises(PageError, match="square images of 1 or 3 channels, not 16×1×1"):
        page(model_of(program, HOSTILE))
    bad = '</script><script>alert(1)</script><!-- " @MODEL@ 数'
    program = Program(Shape(3, 2, 2), (GlobalAverage(0),))
    path = tmp_path / "page.html"
    write_page(path, model_of(program, (bad, "", "\u2028"), space=bad, architecture=bad))
    browser.problems.clear()
    browser.open(path)
    assert browser.evaluate("document.title") == f"A 1-bit network of {bad}"
    assert browser.evaluate("document.getElementById('facts').textContent") == bad
    assert browser.evaluate("model.classes") == [bad, "", "\u2028"]
    assert browser.evaluate("document.getElementById('draws').hidden") is True
    assert browser.evaluate("document.scripts.length") == 2
    assert browser.problems == []


@compiles
def test_browsers_without_vectors_run_the_same_network(digits):
    """The page has the code of both modules, and their data once."""
    text = re.search(r'id="model">(.*?)</script>', page(model_of(digits)), re.DOTALL)[1]
    model = json.loads(text)
    parts = {name: base64.b64decode(model[name]) for name in ("plain", "simd", "data")}
    assert len(parts["data"]) > 3 * len(parts["simd"]) / 2
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), np.uint8)
    for name in ("plain", "simd"):
        found = logits_of(parts[name] + parts["data"], digits, pixels)
        np.testing.assert_array_equal(found, portable.run(digits, normalised(pixels)))


def test_a_missing_or_failing_compiler_is_told_in_one_sentence(monkeypatch, digits):
    monkeypatch.setattr(pages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PageError, match=r"a page needs the package ziglang, .*: pip install ziglang$"):
        page(model_of(digits))
    monkeypatch.undo()
    if importlib.util.find_spec("ziglang"):
        with pytest.raises(PageError, match=r"could not compile the network: .*error"):
            wasm(model_of(digits), "no-processor")
