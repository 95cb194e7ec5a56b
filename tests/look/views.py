"""The pages that are looked at, each with the address under which it shows what matters."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from tests.look.gallery import HOSTS
from tests.look.stage import Stage

SIZES = {"wide": (1280, 900), "narrow": (390, 844)}


@dataclass(frozen=True, slots=True)
class View:
    """One page. ``signed_in``: it is looked at by who signed in; ``verdict``: it tells one, and at once."""

    name: str
    url: str
    signed_in: bool = True
    verdict: bool = False
    status: int = 200


def views(stage: Stage) -> Iterator[View]:
    """Every page there is, strangers' first."""
    site = stage.site
    yield View("stranger", f"{site}/crashes/1", signed_in=False, status=403)
    yield View("sign-in-refused", f"{site}/signin/callback?error=access_denied&state=x", signed_in=False, status=403)
    yield View("dashboard", f"{site}/")
    yield View("search", f"{site}/crashes")
    questions = {
        "search-answer": "have we seen rassstp since May?", "search-table": "top 5 drivers",
        "search-versions": "which versions of rassstp crash?", "search-nothing": "xyzzy plugh",
    }  # fmt: skip
    for name, question in questions.items():
        yield View(name, f"{site}/crashes?q={quote(question)}")
    for kind, number in stage.gallery.crashes.items():
        if kind != "private":
            yield View(f"crash-{kind}", f"{site}/crashes/{number}", verdict=True)
    for kind in ("seed", "cannot_tell", "hostile"):
        if kind in stage.gallery.signatures:
            yield View(
                f"failure-{kind}", f"{site}/groups/{quote(stage.gallery.signatures[kind], safe='', errors='replace')}"
            )
    yield View("search-stacks", f"{site}/crashes/{stage.gallery.crashes['whole']}?stack=ndis", verdict=True)
    subjects = {
        "driver": "drivers/rassstp.sys", "host": f"hosts/{HOSTS[0]}", "team": f"teams/{quote('Network drivers')}",
        "build": "builds/10.0.19041.804",
    }  # fmt: skip
    for kind, path in subjects.items():
        yield View(kind, f"{site}/{path}")
    yield View("hosts", f"{site}/hosts")
    yield View("failures", f"{site}/groups")
    yield View("teams", f"{site}/teams")
    yield View("health", f"{site}/health")
    yield View("missing", f"{site}/crashes/{stage.gallery.crashes['private']}", status=404)
    yield View("upload", f"{site}/upload")
    for state, upload in stage.uploads.items():
        yield View(f"upload-{state}", f"{site}/uploads/{upload}")
    yield View("api", f"{site}/api")
    for kind in ("done", "state"):
        yield View(f"install-{kind}", f"{stage.beside}/installed/{kind}", signed_in=False)
    yield View("file", stage.file.as_uri(), signed_in=False, verdict=True)
