"""Errors as programs read them: ``application/problem+json`` (RFC 9457)."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class Problem(Exception):
    """What is wrong with a request: a status, and a sentence about this very case."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def problem_response(problem: Problem) -> Response:
    """The answer that says so."""
    said = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    return Response(json.dumps(said), problem.status, problem.headers, "application/problem+json")


async def told(_request: Request, error: Exception) -> Response:
    """For whatever an address of the API raises."""
    if isinstance(error, Problem):
        return problem_response(error)
    if isinstance(error, HTTPException):
        return problem_response(Problem(error.status_code, error.detail, error.headers))
    return problem_response(Problem(500, "Something went wrong here; the log says what."))
