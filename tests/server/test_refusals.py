"""Who is refused, and with which status; and that no input ends in a 500."""

import json
from threading import Event
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.features import pictures
from hashret.server import answers
from hashret.server.guard import MOST_BYTES, Limits
from hashret.server.page_files import PAGE_FILES
from tests.server.conftest import asking

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"text": "x", "where": "year >"}, 422, "where: column 7: expected a condition"),
        ({"text": "x", "where": "(" * 5000}, 422, "where"),
        ({"text": "x", "k": 5, "rerank": 2}, 422, "rerank: expected at least k, 5, got 2"),
        ({"text": "x", "radius": 2, "rerank": 20}, 422, "rerank: expected none beside radius"),
        ({"id": "nobody"}, 404, "expected one of the 80 items of texts, got 'nobody'"),
        ({"id": "x", "collection": "other"}, 404, "collection: expected one of texts"),
        ({"text": "x", "id": "y"}, 422, "expected exactly one of text, vector, sequence, id, code"),
        ({}, 422, "expected exactly one"),
        ([], 422, ""),
        ({"text": "x", "other": 1}, 422, "other: "),
        ({"text": "x", "k": 0}, 422, "k: "),
        ({"text": "x", "k": 10**6}, 422, "k: "),
        ({"text": "x", "k": True}, 422, "k: "),
        ({"text": "x", "k": "3"}, 422, "k: "),
        ({"text": "x", "k": 2.5}, 422, "k: "),
        ({"text": "x", "radius": -1}, 422, "radius: "),
        ({"text": "x", "radius": 10**30}, 422, "radius: "),
        ({"text": "x", "rerank": 10**9}, 422, "rerank: "),
        ({"text": "x", "include": ["secrets"]}, 422, "include.0: "),
        ({"text": ["x"]}, 422, "text: "),
        ({"vector": [1.0]}, 422, "vector: expected text or id or code"),
        ({"vector": ["a"]}, 422, "vector.0: "),
        ({"code": "xy"}, 422, "code: "),
        ({"code": "ff\n"}, 422, "code: "),
        ({"code": "ffffffff"}, 422, "code: expected 16 bits"),
        ({"code": ""}, 422, "code: "),
    ],
)
def test_what_a_question_must_be(client, body, status, said):
    answer = client.post("/v1/query", json=body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "{",
        "[" * 100_000,
        '{"text":' * 50_000,
        '{"text": "\\ud800"}',
        '{"vector": [NaN]}',
        '{"vector": [1e999]}',
        '{"vector": [' + "9" * 5000 + "]}",
        '{"text": "x", "k": ' + "9" * 5000 + "}",
        b"\xff\xfe",
    ],
)
def test_what_is_no_json(client, body):
    assert client.post("/v1/query", content=body, headers=JSON).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status"),
    [
        ("GET", "/healthz", {"host": "evil.example"}, None, 421),
        ("GET", "/", {"host": "localhost.evil.example"}, None, 421),
        ("GET", "/", {"host": "127.0.0.1.evil.example:8000"}, None, 421),
        ("GET", "/", {"host": "10.0.0.1"}, None, 421),
        ("GET", "/", {"host": "localhost@evil.example"}, None, 421),
        ("GET", "/", {"host": "localhost:x"}, None, 421),
        ("GET", "/", {"host": ""}, None, 421),
        ("GET", "/healthz", {"host": "LOCALHOST:1"}, None, 200),
        ("GET", "/healthz", {"host": "[::1]:8000"}, None, 200),
        ("POST", "/v1/query", {}, b'{"text": "x"}', 415),
        ("POST", "/v1/query", {"content-type": "text/plain"}, b'{"text": "x"}', 415),
        ("POST", "/v1/query", {"content-type": "application/json; charset=utf-8"}, b"{", 422),
        ("POST", "/v1/query", JSON, b" " * (MOST_BYTES + 1), 413),
        ("POST", "/v1/query", JSON, iter([b" " * MOST_BYTES, b" "]), 413),
        ("POST", "/v1/query", {**JSON, "content-length": "9" * 30}, b"{}", 413),
        ("GET", "/v1/items/", {}, None, 404),
        ("GET", "/v1/items/../../etc/passwd", {}, None, 404),
        ("GET", "/v1/items/%2e%2e%2f%2e%2e%2fetc/passwd", {}, None, 404),
        ("GET", "/v1/items/%ff%00", {}, None, 404),
        ("GET", "/page/../app.py", {}, None, 404),
        ("GET", "/..%2fapp.py", {}, None, 404),
        ("GET", "/docs", {}, None, 404),
        ("GET", "/v1/query", {}, None, 405),
        ("GET", "/v1/similar/x?k=no", {}, None, 422),
        ("GET", "/v1/similar/x?z=1", {}, None, 422),
        ("GET", "/v1/similar/x", {}, None, 404),
    ],
)
def test_who_is_refused(client, method, path, headers, content, status):
    answer = client.request(method, path, headers=headers, content=content)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src")
    assert "access-control-allow-origin" not in answer.headers
    if status >= 400:
        assert isinstance(answer.json()["detail"], str)


def test_a_body_that_grows_too_large_is_not_read_to_its_end(client):
    given = []

    def endless():
        while len(given) < 1000:
            given.append(1)
            yield b" " * (1 << 16)

    assert client.post("/v1/query", headers=JSON, content=endless()).status_code == 413


def test_a_path_given_as_a_text_is_not_opened(three, monkeypatch, tmp_path):
    """A str is a file's name to a collection of images: not to whoever asks over HTTP."""
    monkeypatch.setattr(pictures, "open", lambda *_: pytest.fail("opened"), raising=False)
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"no image")
    answer = three.post("/v1/query", json={"collection": "images", "text": str(secret)})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("text: expected id or code, since")


def test_a_token_is_asked_for_everywhere_but_where_nothing_is_told(folder):
    with asking(folder, "texts", limits=Limits(token="s3cret")) as client:  # noqa: S106
        for path in ("/v1/stats", "/v1/items/x", "/v1/similar/x", "/metrics", "/openapi.json"):
            for given in ("", "s3cret", "Bearer", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret"):
                answer = client.get(path, headers={"authorization": given} if given else {})
                assert (answer.status_code, path) == (401, path)
                assert answer.headers["www-authenticate"] == "Bearer"
            answer = client.get(path, headers={"authorization": "Bearer s3cret"})
            assert answer.status_code in (200, 404)
        for path in (*PAGE_FILES, "/healthz"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("host", "called", "is_answered"),
    [
        ("0.0.0.0", "192.0.2.7:80", True),  # noqa: S104
        ("0.0.0.0", "evil.example", False),  # noqa: S104
        ("::", "[2001:db8::1]:80", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("search.example", "search.example:8000", True),
        ("127.0.0.1", "proxy.example", True),
    ],
)
def test_to_which_names_a_server_answers(host, called, is_answered):
    assert Limits(host, frozenset({"proxy.example"})).answers_to(called) == is_answered


def test_what_takes_too_long_is_given_up(folder, monkeypatch):
    wait = Event()
    monkeypatch.setattr(answers, "item", lambda *_: wait.wait(10) and b"{}")
    with asking(folder, "texts", limits=Limits(seconds=0.05)) as client:
        answer = client.get("/v1/items/x")
        wait.set()
    assert (answer.status_code, "0.05 s" in answer.json()["detail"]) == (503, True)


def test_our_own_errors_are_500_and_say_nothing(folder, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(answers, "_found", broken)
    with asking(folder, "texts", raises=False) as client:
        answer = client.post("/v1/query", json={"text": "x"})
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert answer.headers["x-content-type-options"] == "nosniff"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    *("text", "vector", "sequence", "id", "code", "collection", "k", "radius", "rerank"),
    *("where", "group"),
)
NEAR = {
    "text": st.text(),
    "code": st.text("0123456789abcdef", min_size=4, max_size=4),
    "id": st.sampled_from(["notes/sea-000", "x"]),
    "k": st.integers(1, 100),
    "radius": st.integers(0, 20),
    "rerank": st.integers(0, 100),
    "where": st.sampled_from(["year > 2000", "topic == 'sea'", "year = ", "missing == 1"]),
    "group": st.sampled_from(["topic", "none"]),
    "include": st.lists(st.sampled_from(["preview", "text", "code", "plan"]), max_size=4),
}
BODIES = st.one_of(
    VALUES,
    st.dictionaries(st.sampled_from((*FIELDS, "include")), VALUES, max_size=4),
    st.fixed_dictionaries({}, optional=NEAR),
)


@settings(max_examples=150)
@given(body=BODIES)
def test_no_json_ends_in_an_error_of_the_servers_own(client, body):
    content = json.dumps(body).encode()
    answer = client.post("/v1/query", content=content, headers=JSON)
    assert answer.status_code in (200, 404, 409, 422)


@settings(max_examples=60)
@given(item_id=st.text(), query=st.dictionaries(st.sampled_from(FIELDS), st.text(), max_size=3))
def test_no_id_ends_in_an_error_of_the_servers_own(client, item_id, query):
    path = quote(item_id.encode("utf-8", "surrogatepass"), safe="/")
    for place in ("items", "similar"):
        answer = client.get(f"/v1/{place}/{path}", params=query)
        assert answer.status_code in (200, 404, 409, 422)
