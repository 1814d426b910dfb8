"""The other views: the map, the bits, duplicates, statistics."""

import pytest

from tests.browser import canned

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

pytestmark = pytest.mark.long  # each view in a real browser


def to(page, view):
    page.get_by_role("navigation", name="Views").get_by_role("link", name=view).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_the_map_waits_until_it_is_laid_out(page, ids):
    answers = [(202, {"status": "computing", "done": 0.4}), (200, canned.code_map(ids))]
    page.route("**/v1/map?*", canned.answering(map=lambda _: answers.pop(0)))
    to(page, "Map")
    expect(page.locator("#map-progress")).to_have_js_property("value", 0.4)
    expect(page.locator("#map-said")).to_contain_text("81 items")
    expect(page.locator("#map-progress")).to_be_hidden()


def test_the_map_is_coloured_and_rows_of_the_legend_stand_alone(page):
    to(page, "Map")
    page.get_by_label("Colour by").select_option("topic")
    rows = page.locator("#map-legend button")
    expect(rows).to_have_count(3)
    assert set(rows.locator("bdi").all_inner_texts()) == {canned.HOSTILE, "kitchen", "space"}
    rows.filter(has_text="kitchen").click()
    page.get_by_role("button", name="List what is in view").click()
    expect(page.locator("#map-selected")).to_have_text("27 items in view.")


def test_a_lasso_selects_what_is_within(page, ids):
    """The items lie on a circle, upwards: around its right end there are those of small angles."""
    to(page, "Map")
    expect(page.locator("#map-said")).to_contain_text("81 items")
    box = page.locator("#map-canvas").bounding_box()
    radius = 0.45 * 0.92 * min(box["width"], box["height"])
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.get_by_role("button", name="Lasso").click()
    corners = [(0.8, -0.3), (1.2, -0.3), (1.2, 0.02), (0.8, 0.02)]
    for i, (right, down) in enumerate(corners):
        page.mouse.move(x + right * radius, y + down * radius)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    expect(page.locator("#map-selected")).to_contain_text("within the lasso")
    listed = page.locator("#map-list .id").all_inner_texts()
    assert listed == ids[:4]  # of 81, at 0, 4.4, 8.9 and 13.3 degrees


def test_the_map_is_moved_and_read_by_keys(page, ids):
    to(page, "Map")
    expect(page.locator("#map-said")).to_contain_text("81 items")
    page.locator("#map-canvas").focus()
    page.keyboard.press("l")
    expect(page.locator("#map-selected")).to_have_text("81 items in view.")
    for key in ["+"] * 6 + ["ArrowRight"] * 3:
        page.keyboard.press(key)
    page.keyboard.press("l")
    expect(page.locator("#map-selected")).not_to_have_text("81 items in view.")
    page.keyboard.press("0")
    page.keyboard.press("l")
    expect(page.locator("#map-selected")).to_have_text("81 items in view.")
    page.keyboard.press("Enter")
    item = page.locator("#map-item")
    expect(item.get_by_role("link", name="Its neighbours")).to_be_visible()
    assert item.locator(".id").first.inner_text() in ids


def test_hits_of_the_last_query_are_ringed(page):
    page.get_by_role("searchbox").fill("ship")
    page.keyboard.press("Enter")
    page.locator("#hits > li").first.wait_for()
    to(page, "Map")
    expect(page.locator("#map-said")).to_contain_text("10 hits of the last query ringed")


def test_bits_are_ordered_and_opened(page):
    to(page, "Bits")
    expect(page.locator("#bits-rows tr")).to_have_count(16)
    page.get_by_label("Order by").select_option("balance")
    expect(page.locator("#bits-rows th").first).to_have_text("Bit 10")  # .25 + 10 / 40
    page.get_by_role("link", name="Bit 10").click()
    expect(page.locator("#bit-title")).to_have_text("Bit 10")
    expect(page.locator("#bit-facts")).to_contain_text("correlation 0.31")
    assert page.locator("#bit-for-1 li").all_inner_texts() == ["harbour", canned.HOSTILE]
    page.get_by_role("link", name="Next bit").click()
    expect(page.locator("#bit-title")).to_have_text("Bit 11")


def test_duplicates_stand_side_by_side_with_the_one_to_keep(page):
    to(page, "Duplicates")
    members = page.locator(".group").first.locator("li")
    expect(members).to_have_count(2)
    assert members.locator(".facts strong").all_inner_texts() == [
        "Keep",
        "1 bit apart · similarity 0.990",
    ]
    left, right = (one.bounding_box() for one in members.all())
    assert left["y"] == right["y"]
    with page.expect_request("**/v1/duplicates?*") as asked:
        page.get_by_role("button", name="Show more groups").click()
    assert "limit=40" in asked.value.url
    page.get_by_label("Codes within so many bits").fill("5")
    with page.expect_request("**/v1/duplicates?*") as asked:
        page.get_by_role("button", name="Compare").click()
    assert "radius=5" in asked.value.url


def test_statistics_tell_of_the_collection_that_is_chosen(page):
    to(page, "Statistics")
    expect(page.locator("#statistics-cards")).to_contain_text("81texts")
    page.get_by_label("Collection").select_option("images")
    expect(page.locator("#statistics-title")).to_have_text("images")
    expect(page.locator("#statistics-cards")).to_contain_text("12pictures")


def test_a_view_that_the_server_does_not_have_is_not_offered(page):
    page.route(
        "**/v1/bits?*", lambda route: route.fulfill(status=404, json={"detail": "Not Found"})
    )
    to(page, "Statistics")
    page.get_by_role("link", name="Bits").click()
    expect(page.locator("#wrong")).to_have_text("This server has no bits.")
    expect(page.get_by_role("link", name="Bits")).to_be_hidden()


def test_why_a_view_can_not_be_shown_is_said(page):
    refusal = {"detail": "map: expected the extra `map`, got none; install it"}
    page.route("**/v1/map?*", lambda route: route.fulfill(status=409, json=refusal))
    to(page, "Map")
    expect(page.locator("#map-said.wrong")).to_have_text(refusal["detail"])
