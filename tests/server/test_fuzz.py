"""Every endpoint, asked what its own OpenAPI allows and what it does not: no 500, nothing unsaid.

schemathesis makes the requests from the description, so an endpoint that is added is fuzzed too.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from hashret.server.app import create_app
from tests.server.conftest import asking

pytestmark = pytest.mark.long  # many requests to every endpoint

#: Requests of each endpoint and mode.
_EXAMPLES = 15
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DESCRIPTION = TestClient(create_app({}), base_url="http://localhost").get("/openapi.json").json()
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
EVERY = [
    (method, path, mode)
    for path, methods in DESCRIPTION["paths"].items()
    for method, about in methods.items()
    for mode in GenerationMode
    # nothing can be wrong in a request without parameters and body
    if mode is GenerationMode.POSITIVE or about.get("parameters") or "requestBody" in about
]
#: What is there: else every request would be about nothing.
_HERE = {"item_id": ["3", "notes/sea-000"], "collection": ["texts", "vectors", "images"]}


@pytest.fixture(scope="module")
def client(folder):
    how = {"shows_originals": True, "raises": False}
    with asking(folder, "texts", "vectors", "images", **how) as client:
        yield client


@pytest.mark.parametrize(("method", "path", "mode"), EVERY)
def test_no_request_ends_in_an_error_of_the_servers_own(client, method, path, mode):
    cases = SCHEMA[path][method.upper()].as_strategy(generation_mode=mode)

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=cases, known=st.fixed_dictionaries({k: st.sampled_from(v) for k, v in _HERE.items()})
    )
    def asked(case, known):
        if mode is GenerationMode.POSITIVE:
            _point_to_what_is_there(case, known)
        given_to = case.as_transport_kwargs(base_url="http://localhost")
        body = given_to.pop("data", None)
        for name in ("timeout", "cookies"):  # which the client itself has
            given_to.pop(name, None)
        answer = client.request(**given_to, content=body)
        case.validate_response(answer, checks=_CHECKS)

    asked()


def _point_to_what_is_there(case, known):
    """Let half of the fields that name something name what there is."""
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            for name in part.keys() & known.keys():
                part[name] = known[name]
