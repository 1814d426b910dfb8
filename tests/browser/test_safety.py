"""Hostile items, tokens: nothing becomes markup, and nothing is asked of anybody else.

Every page of these tests fails on an error, a dialog, a broken rule of CSP or a foreign request
(conftest.py).
"""

import pytest

from tests.browser import canned
from tests.browser.conftest import TOKEN, a_page

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

pytestmark = pytest.mark.long  # a real browser

MARKUP = "img[src='x'], img[onerror], main script, [onerror], [onload]"


def no_markup(page):
    assert page.locator(MARKUP).count() == 0


def test_hostile_ids_texts_and_metadata_are_shown_as_they_are_written(page):
    page.get_by_role("searchbox").fill(canned.HOSTILE + " ship sail anchor")
    page.keyboard.press("Enter")
    hit = page.locator("#hits > li").filter(has=page.get_by_role("button", name=canned.HOSTILE))
    hit.first.wait_for()
    assert canned.HOSTILE in hit.locator(".metadata").inner_text()
    assert "onerror" in hit.locator(".text").inner_text()
    hit.get_by_role("button", name="Why this hit").click()
    expect(hit.locator(".why").get_by_text(canned.HOSTILE).first).to_be_visible()
    no_markup(page)
    hit.locator(".walk").click()
    expect(page.locator("#query-title")).to_have_text(canned.HOSTILE)
    no_markup(page)


@pytest.mark.parametrize(
    "view", ["map?field=topic", "bits", "bits/3", "duplicates", "statistics", "x<img src=x>"]
)
def test_hostile_answers_are_shown_as_they_are_written(page, address, view):
    page.goto(f"{address}#/{view}")
    if "<" not in view and view != "statistics":
        expect(page.get_by_text(canned.HOSTILE).first).to_be_visible()
    no_markup(page)


@pytest.mark.parametrize("name", ["text", "id", "code", "where", "collection", "picture"])
def test_a_hostile_address_is_shown_as_it_is_written(page, address, name):
    page.goto(f"{address}#/search?text=a&{name}={canned.HOSTILE}")
    expect(page.locator("#said")).not_to_have_text("")
    no_markup(page)


def test_a_token_is_asked_for_and_pictures_are_fetched_with_it(browser, guarded):
    with a_page(browser, guarded, []) as page:
        asked = []
        page.unroute("**/v1/**")
        page.route(
            "**/v1/thumbnail/**",
            lambda route: (asked.append(route.request.headers), canned.answering()(route)),
        )
        page.goto(guarded)
        for token in ("another", TOKEN):
            page.get_by_label("The token").fill(token)
            page.get_by_role("button", name="Use it").click()
        expect(page.locator("#about")).to_have_text("12 pictures, each a code of 16 bits")
        page.locator("#at-random").click()
        shown = page.locator("#hits .thumbnail img").first
        expect(shown).to_have_js_property("naturalWidth", 64)
        assert shown.get_attribute("src").startswith("blob:")
        assert all(headers["authorization"] == f"Bearer {TOKEN}" for headers in asked)
        page.reload()  # the tab keeps it
        expect(page.locator("#hits > li").first).to_be_visible()
