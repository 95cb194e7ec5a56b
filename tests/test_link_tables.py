"""A share of the two tables of links in each run of the quick suite; the whole of them behind ``slow``."""

import pytest

from tests import attack_table, link_table

ATTACKS = {f"{attack.group}: {attack.name}": attack for attack in attack_table.attacks()}
FORMS = {f"{form.group}: {form.name}": form for form in link_table.forms()}
# One of each group, and those that no other test tries.
FEW_ATTACKS = [
    "inside: http://[64:ff9b:1::7f00:1]/", "even where allowed: http://[2002:a9fe:a9fe::]/", "scheme: file:///etc/passwd",
    "disguise: http://example.com@127.0.0.1/", "list: s3:// without leave", "redirect: to gopher://127.0.0.1:6379/_INFO",
    "rebinding: 93.184.216.34 when judged, then 127.0.0.1", "server: never answers", "child: write",
    "text: a name as HTML", "text: a name as a log line",
]  # fmt: skip
FEW_FORMS = [
    "fetched: a plain file", "fetched: a presigned address that has ended", "fetched: posted as a file in Slack",
    "in a message: in a code block",
]  # fmt: skip


@pytest.mark.parametrize("name", FEW_ATTACKS)
async def test_an_attack_is_refused_as_it_must_be(name: str) -> None:
    happened = await attack_table.tried(ATTACKS[name])
    assert attack_table.is_as_it_must_be(ATTACKS[name], happened), happened


@pytest.mark.parametrize("name", FEW_FORMS)
async def test_a_form_of_a_link_is_read_as_it_must_be(name: str) -> None:
    assert await link_table.tried(FORMS[name]) == FORMS[name].must


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in FEW_ATTACKS])
async def test_every_other_attack_is_refused_as_it_must_be(name: str) -> None:
    happened = await attack_table.tried(ATTACKS[name])
    assert attack_table.is_as_it_must_be(ATTACKS[name], happened), happened


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORMS if name not in FEW_FORMS])
async def test_every_other_form_is_read_as_it_must_be(name: str) -> None:
    assert await link_table.tried(FORMS[name]) == FORMS[name].must
