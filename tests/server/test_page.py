"""The page's files are served as they are, load nothing from elsewhere and make no markup of data."""

import re
from importlib import resources

import pytest

from hashret.server.page_files import PAGE_FILES


@pytest.mark.parametrize("path", PAGE_FILES)
def test_each_file_is_served_whole_with_its_type(client, path):
    name, media_type = PAGE_FILES[path]
    answer = client.get(path)
    content = resources.files("hashret.server").joinpath("page", name).read_bytes()
    assert (answer.content, answer.headers["content-type"]) == (content, media_type)
    assert content
    said = content.decode()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", said)
    assert not re.findall(r"https?://|style=|\son\w+=", said)


def test_the_page_names_only_files_that_are_served(client):
    named = re.findall(r'(?:href|src)="([^"]+)"', client.get("/").text)
    assert named
    assert set(named) < PAGE_FILES.keys()
    script, page = client.get("/page.js").text, client.get("/").text
    for identifier in set(re.findall(r'\bat\("([^"]+)"\)', script)):
        assert f'id="{identifier}"' in page
