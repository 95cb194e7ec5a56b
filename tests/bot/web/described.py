"""Answers of the API held against its own description."""

import json
import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from bot.web.api.description import description


def check(answer: httpx.Response) -> Any:
    """The JSON of an answer, once it is what the description says of this address, method and status.

    Raises:
        AssertionError, jsonschema.ValidationError.
    """
    whole = description()
    path = answer.request.url.raw_path.decode().partition("?")[0].removeprefix("/api")
    found = [one for one in whole["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), path)]
    assert len(found) == 1, f"{path} is described {len(found)} times"
    about = whole["paths"][found[0]][answer.request.method.lower()]
    said = about["responses"][str(answer.status_code)]
    if "$ref" in said:
        said = whole["components"]["responses"][said["$ref"].rpartition("/")[2]]
    if "content" not in said:
        assert not answer.content
        return None
    ((kind, content),) = said["content"].items()
    assert answer.headers["content-type"] == kind
    resource = Resource.from_contents(whole, DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:api", resource)
    value = json.loads(answer.content)
    Draft202012Validator({"$ref": f"urn:api{content['schema']['$ref']}"}, registry=registry).validate(value)
    return value
