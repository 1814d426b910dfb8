"""The page by keyboard, by screen reader, in light and dark, on narrow screens."""

import pytest

from tests.browser.conftest import a_page

pytest.importorskip("playwright.sync_api")
pytest.importorskip("axe_playwright_python")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.long  # each view in a real browser

VIEWS = {
    "search": "#welcome",
    "search?text=ship+harbour": "#hits > li .metadata",
    "map?field=topic": "#map-legend button",
    "bits": "#bits-rows tr",
    "bits/3": "#bit-title",
    "duplicates": ".group",
    "statistics": "#statistics-cards .figure",
}


@pytest.mark.parametrize(
    ("scheme", "rules"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})]
)
def test_axe_finds_nothing_on_any_view(browser, address, ids, scheme, rules):
    """In the dark, only colours are others."""
    with a_page(browser, address, ids, color_scheme=scheme) as page:
        for view, shown in VIEWS.items():
            page.goto(f"{address}#/{view}")
            expect(page.locator(shown).first).to_be_visible()
            if view.startswith("search?"):
                page.get_by_role("button", name="Why this hit").first.click()
                page.locator(".chip").first.wait_for()
            found = Axe().run(page, options=rules)
            assert found.response["passes"]
            assert found.violations_count == 0, (view, found.generate_report())


def test_no_view_is_wider_than_a_narrow_screen(browser, address, ids):
    size = {"width": 320, "height": 640}
    with a_page(browser, address, ids, viewport=size) as page:
        for view, shown in VIEWS.items():
            page.goto(f"{address}#/{view}")
            expect(page.locator(shown).first).to_be_visible()
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 320, view


def test_tab_goes_through_the_page_in_order(page):
    page.goto(page.url + "#/search?text=ship+harbour")
    page.locator("#hits > li").first.wait_for()
    page.locator("body").evaluate("body => document.activeElement.blur()")
    order = []
    for _ in range(14):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert order[0] == "skip"
    wanted = ["skip", "collection", "asked"]
    assert [one for one in order if one in wanted] == wanted
    bits = [one for one in order if one.startswith("bit ")]
    assert len(bits) == 1  # one of all bits is in the order of tabs
    assert order.index(bits[0]) < order.index("walk")


def test_the_first_link_leads_past_the_navigation(page):
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert "#main" not in page.url


def test_nothing_moves_for_who_wants_no_motion(browser, address, ids):
    with a_page(browser, address, ids, reduced_motion="reduce") as page:
        page.goto(f"{address}#/search")
        page.locator("#welcome").wait_for()
        moving = page.evaluate(
            "[...document.querySelectorAll('*')].filter(one => "
            "getComputedStyle(one).transitionDuration !== '0s' || "
            "getComputedStyle(one).animationName !== 'none').length"
        )
        assert moving == 0


def test_what_happens_is_said_in_live_regions(page):
    assert page.locator("#said[role=status], #wrong[role=alert]").count() == 2
    page.goto(page.url + "#/search?id=unknown")
    expect(page.locator("#said.wrong")).to_contain_text("unknown")
