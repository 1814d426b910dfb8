"""The map as a page: one file, in which nothing that anybody wrote becomes markup or runs."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.insight.code_map import CodeMap, lay_out
from hashret.insight.colours import CATEGORIES, coloured
from hashret.insight.map_page import map_page
from hashret.insight.map_picture import MapView, view_of

HOSTILE = [
    "</script><script>document.title = 'pwned'</script>",
    "<!--<script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "$data ${title} {{x}} & &lt; ' \" `",
    "\u2028\u2029\u202e\x07\x1b[0m]]>",
    "]]></script><svg onload=alert(1)>",
]


class _Elements(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, page):
        super().__init__()
        self.names, self.scripts, self._in_script = [], [], False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
        if tag == "script":
            self.scripts.append("")
            self._in_script = True

    def handle_endtag(self, tag):
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data


def view(texts, field=None):
    n = len(texts)
    places = np.random.default_rng(0).random((n, 2))
    code_map = CodeMap(np.arange(n), places, np.ones(n, bool), True)
    values = None if field is None else texts
    return MapView(
        f"Map of {'x'.join(texts)}",
        "All.",
        code_map,
        texts,
        texts,
        field,
        values,
        coloured(values, n),
    )


def elements_of(page):
    return _Elements(page.decode())


PLAIN = elements_of(map_page(view(["a"], "b"))).names
odd = st.lists(st.text(max_size=30) | st.sampled_from(HOSTILE), max_size=8)


@settings(max_examples=60)
@given(odd, st.text(max_size=9) | st.sampled_from(HOSTILE))
def test_whatever_ids_are_the_page_has_the_same_elements_and_all_ids(texts, field):
    found = elements_of(map_page(view(texts, field)))
    assert found.names == PLAIN
    told = json.loads(found.scripts[0])
    assert told["ids"] == texts
    assert told["previews"] == texts
    assert told["values"] == texts
    assert told["field"] == field
    assert not set("<>&") & set(found.scripts[0])


def test_only_the_script_and_style_of_the_page_may_run():
    page = map_page(view(HOSTILE)).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    script = elements_of(page.encode()).scripts[1]
    for kind, text in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)
    plain = map_page(view(["a"])).decode()
    assert not re.findall(r"https?://|url\(|@import|<link|src=", plain)


@pytest.fixture
def opened(browser, tmp_path):
    """A function that opens the page of a view; nothing may go wrong in it or be asked for."""
    context = browser.new_context(viewport={"width": 900, "height": 700}, offline=True)
    wrong, asked = [], []

    def open_(shown):
        (tmp_path / "map.html").write_bytes(map_page(shown))
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "map.html").as_uri())
        for _ in range(500):  # `wait_for_function` needs eval, which the page's policy forbids
            if page.evaluate("waiting === false && canvas.width > 1"):
                return page
            page.wait_for_timeout(20)
        raise AssertionError("the map was not drawn within ten seconds")

    yield open_
    assert not wrong
    assert len(asked) == 1
    context.close()


def at(page, i):
    """Where item i is in the window."""
    return page.evaluate(
        "i => { const box = canvas.getBoundingClientRect(), ratio = canvas.width / box.width;"
        "return [box.left + toX(data.x[i]) / ratio, box.top + toY(data.y[i]) / ratio]; }",
        i,
    )


def test_the_page_in_a_browser(opened, topics):
    page = opened(view_of(topics, lay_out(topics), "topic", "topics"))
    assert page.text_content("#legend-head") == "topic"
    assert page.locator("#legend button").count() == 4
    ids = page.evaluate("data.ids")
    page.mouse.move(*at(page, 0))
    near = page.locator("#near")
    near.wait_for(state="visible")
    assert near.locator(".id").text_content() in ids
    page.mouse.click(*at(page, 0))
    assert page.locator("#chosen .id").text_content() == near.locator(".id").text_content()
    page.fill("#words", "sea-0")
    assert page.text_content("#count") == "25 of 120 found"
    page.locator("#found button").nth(3).press("Enter")
    assert page.locator("#chosen .id").text_content() == ids[page.evaluate("chosen")]
    assert "sea-0" in page.locator("#chosen .id").text_content()
    before = page.evaluate("view.scale")
    page.focus("#map")
    page.keyboard.press("+")
    assert page.evaluate("view.scale") > before
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")
    assert page.evaluate("[view.scale, view.x, view.y]") == [1, 0.5, 0.5]
    page.locator("#legend button").first.click()
    assert page.get_attribute("#legend button >> nth=0", "aria-pressed") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_points_are_drawn_in_their_colours_on_the_preferred_background(opened, scheme):
    page = opened(view([f"item {i}" for i in range(40)]))
    page.emulate_media(color_scheme=scheme)
    page.evaluate("draw()")
    seen = page.evaluate(
        "() => { const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;"
        "const corner = [...pixels.slice(0, 3)]; const i = 4 * (Math.round(toY(data.y[0])) * canvas.width"
        " + Math.round(toX(data.x[0]))); return [corner, [...pixels.slice(i, i + 3)]]; }"
    )
    paper = [0xFD, 0xFD, 0xFB] if scheme == "light" else [0x17, 0x18, 0x1B]
    dot = [int(CATEGORIES[0][c : c + 2], 16) for c in (1, 3, 5)]
    assert seen[0] == paper
    assert np.abs(np.array(seen[1]) - (0.8 * np.array(dot) + 0.2 * np.array(paper))).max() <= 2


def test_hostile_texts_stay_texts_in_a_browser(opened):
    shown = view(HOSTILE, HOSTILE[0])
    page = opened(shown)
    page.fill("#words", "script")
    page.locator("#found button").first.click()
    assert page.locator("#chosen .id").text_content() == HOSTILE[0]
    assert page.title().startswith("Map of </script>")
    assert page.locator("script").count() == 2
    assert page.locator("img, svg").count() == 0
    assert "pwned'" in page.title()  # as it is written, and not what it would do


@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_items_are_shown(opened, n):
    page = opened(view([f"item {i}" for i in range(n)]))
    page.fill("#words", "item")
    assert page.text_content("#count") == f"{n} of {n} found"


def test_a_scale_has_its_ends(opened):
    shown = view([f"item {i}" for i in range(30)])
    values = list(range(30))
    page = opened(replace(shown, field="size", values=values, colouring=coloured(values, 30)))
    assert page.text_content("#ends") == "029"
    assert page.locator("#legend .swatch").count() == 11


def test_as_many_points_as_there_may_be_are_drawn(opened):
    page = opened(view([str(i) for i in range(50_000)]))
    share = page.evaluate(
        "() => { const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;"
        "const paper = pixels.slice(0, 3).join(); let painted = 0;"
        "for (let i = 0; i < pixels.length; i += 4)"
        "painted += pixels.slice(i, i + 3).join() !== paper;"
        "return 4 * painted / pixels.length; }"
    )
    assert share > 0.1  # they lie all over it
