"""Asking on the page: hits, bits to flip, neighbours to walk to, reasons, pictures."""

import json

import pytest

from tests.browser import canned

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

pytestmark = pytest.mark.long  # a real browser


def ask(page, text):
    page.get_by_role("searchbox").fill(text)
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator("#hits > li").first.wait_for()


def query_code(page):
    names = page.locator("#query-code .bit").evaluate_all("all => all.map(one => one.ariaLabel)")
    return [int(name.split(" is ")[1][0]) for name in names]


def test_a_question_has_hits_with_marked_words_and_codes(page):
    ask(page, "ship harbour")
    expect(page.locator("#hits > li")).to_have_count(10)
    marks = page.locator("#hits mark").all_inner_texts()
    assert marks
    assert {mark.lower() for mark in marks} <= {"ship", "harbour"}
    first = page.locator("#hits > li").first
    distance = int(first.locator(".facts strong").inner_text().split()[0])
    name = first.locator("svg.code").get_attribute("aria-label")
    assert name == f"Code of 16 bits, {distance} of them differ"
    drawn = first.locator("svg.code .differs").get_attribute("d")
    assert drawn.count("z") == 2 * distance  # a bar and a triangle each
    of_query = page.locator("#query-code .byte").last.bounding_box()
    of_hit = first.locator("svg.code").bounding_box()
    ends = [box["x"] + box["width"] for box in (of_query, of_hit)]
    assert ends[0] == pytest.approx(ends[1], abs=8)  # bit under bit


def test_a_bit_is_flipped_by_pressing_it_and_back(page):
    ask(page, "ship harbour")
    before = query_code(page)
    page.locator(".bit").nth(3).click()
    expect(page.locator("#query-title")).to_have_text("a code with 1 flipped bit")
    expected = [bit ^ (j == 3) for j, bit in enumerate(before)]
    assert query_code(page) == expected
    expect(page.locator(".bit").nth(3)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#query-title")).to_have_text("a code with 2 flipped bits")
    expect(page.locator("#trail li")).to_have_count(1)  # flips are one step
    page.go_back()
    expect(page.locator("#query-title")).to_have_text("a code with 1 flipped bit")
    page.get_by_role("button", name="Flip it back").click()
    expect(page.locator("#query-title")).to_have_text("a code")
    assert query_code(page) == before


def test_flipping_a_bit_asks_for_the_neighbours_of_that_code(page):
    ask(page, "ship harbour")
    with page.expect_request("**/v1/query") as asked:
        page.locator(".bit").nth(0).click()
    code = bytes.fromhex(asked.value.post_data_json["code"])
    bits = [code[j // 8] >> j % 8 & 1 for j in range(16)]
    expect(page.locator("#query-title")).to_have_text("a code with 1 flipped bit")
    assert query_code(page) == bits


def test_what_a_bit_means_is_told_where_it_is_pointed_at(page):
    ask(page, "ship harbour")
    page.locator(".bit").nth(5).hover()
    expect(page.locator("#bit-told")).to_contain_text("For 1: harbour")
    page.locator("#bit-told a").click()
    expect(page.locator("#bit-title")).to_have_text("Bit 5")


def test_neighbours_are_walked_with_a_trail_and_back(page):
    ask(page, "ship harbour")
    second = page.locator(".walk").nth(1)
    name = second.inner_text()
    second.click()
    expect(page.locator("#query-title")).to_have_text(name)
    expect(page.locator("#query-title")).to_be_focused()
    expect(page.locator("#hits .facts strong").first).to_have_text("0 bits apart")
    assert page.locator("#trail button").all_inner_texts() == ["“ship harbour”"]
    page.locator("#trail button").first.click()
    expect(page.locator("#query-title")).to_have_text("“ship harbour”")
    page.go_back()
    expect(page.locator("#query-title")).to_have_text(name)
    page.reload()
    expect(page.locator("#query-title")).to_have_text(name)


def test_options_are_asked_with_and_errors_are_said(page):
    page.locator("summary").click()
    page.get_by_label("Only where").fill("topic == 'kitchen'")
    page.get_by_label("Hits").fill("3")
    ask(page, "ship")
    topics = page.locator("#hits .metadata").all_inner_texts()
    assert len(topics) == 3
    assert all("kitchen" in one for one in topics)
    page.get_by_label("Only where").fill("topic ==")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("#said.wrong")).to_contain_text("where")


def test_why_a_hit_is_one_lights_up_the_bits_of_a_word(page):
    ask(page, "ship harbour")
    page.get_by_role("button", name="Why this hit").first.click()
    hit = page.locator("#hits > li").first
    expect(hit.locator(".why")).to_contain_text("14 bits agree and 2 differ (14, 15)")
    in_query, in_item = hit.locator(".chips").all()
    in_query.get_by_role("button", name="ship brings").hover()
    lit = page.locator(".bit.lit").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert [int(name.split()[1]) for name in lit] == [0, 5, 9]
    in_item.get_by_role("button", name="ship brings").focus()
    assert hit.locator("svg.code .lit").get_attribute("d").count("z") == 3
    page.get_by_role("button", name="Why this hit").first.click()
    expect(hit.locator(".why")).to_be_hidden()


def test_a_slow_answer_to_a_former_question_is_dropped(page):
    held = []

    def hold(route):
        if route.request.post_data_json.get("text") == "slow":
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/query", hold)
    page.get_by_role("searchbox").fill("slow")
    page.keyboard.press("Enter")
    ask(page, "ship")
    body = json.dumps({"hits": [], "code": "0000"})
    held[0].fulfill(body=body, content_type="application/json")
    page.wait_for_timeout(100)
    expect(page.locator("#hits > li")).to_have_count(10)


def test_a_picture_is_asked_with_and_explained_by_places(page):
    asked = []

    def similar(route):
        request = route.request
        asked.append((request.headers["content-type"], request.post_data_buffer, request.url))
        hit = {"id": "a/0.png", "distance": 2, "score": 0.9, "code": "00fc", "metadata": {}}
        body = json.dumps({"hits": [hit], "code": "00ff"})
        route.fulfill(body=body, content_type="application/json")

    page.route("**/v1/query/image?*", similar)
    page.get_by_label("Collection").select_option("images")
    file = {"name": "one.webp", "mimeType": "image/webp", "buffer": canned.thumbnail()}
    page.locator("#file").set_input_files(file)
    expect(page.locator("#query-title")).to_have_text("one.webp")
    ((kind, body, url),) = asked
    assert (kind, body) == ("image/webp", canned.thumbnail())
    assert "collection=images" in url
    expect(page.locator("#query-glimpse img")).to_be_visible()
    page.get_by_role("button", name="Why this hit").click()
    boxes = page.locator(".why section").nth(1).locator(".place")
    expect(boxes).to_have_count(2)
    left, right = (box.bounding_box() for box in boxes.all())
    assert right["x"] == pytest.approx(left["x"] + left["width"], abs=1)
    boxes.first.hover()
    assert page.locator("#hits svg.code .lit").get_attribute("d").count("z") == 3


def test_a_picture_for_texts_is_refused_in_words(page):
    page.locator("#file").set_input_files(
        {"name": "one.webp", "mimeType": "image/webp", "buffer": canned.thumbnail()}
    )
    expect(page.locator("#said.wrong")).to_contain_text("a picture can't be asked for")
