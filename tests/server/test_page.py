"""The page's files are served as they are, load nothing from elsewhere and make no markup of data."""

import re
from importlib import resources

import pytest

from hashret.server.page_files import PAGE_FILES

SCRIPTS = [path for path in PAGE_FILES if path.endswith(".js")]


@pytest.mark.parametrize("path", PAGE_FILES)
def test_each_file_is_served_whole_with_its_type(client, path):
    name, media_type = PAGE_FILES[path]
    answer = client.get(path)
    content = resources.files("hashret.server").joinpath("page", name).read_bytes()
    assert (answer.content, answer.headers["content-type"]) == (content, media_type)
    assert content
    said = content.decode()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", said)
    assert set(re.findall(r"https?://[^\"]*", said)) <= {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"\sstyle=|\son\w+=\"", said)


def test_what_is_named_is_served(client):
    page = client.get("/").text
    loaded = set(re.findall(r'(?:href|src)="(/[^"]+)"', page))
    for path in SCRIPTS:
        named = re.findall(r'from "\./([^"]+)"', client.get(path).text)
        loaded |= {f"/page/{name}" for name in named}
    assert loaded | {"/"} == set(PAGE_FILES)


@pytest.mark.parametrize("path", SCRIPTS)
def test_each_part_that_a_script_asks_for_is_on_the_page(client, path):
    page = client.get("/").text
    for identifier in re.findall(r'\bat\("([^"]+)"\)', client.get(path).text):
        assert f'id="{identifier}"' in page
