"""Links in Slack text, which of them are wanted, and what of them may be said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.fetch.links import MAX_LINKS, find_links, is_on, is_wanted, link, looks_like_a_dump, shown


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("<https://h/x.dmp>", ["https://h/x.dmp"]),
        ("see <https://h/x.dmp|this dump>, please", ["https://h/x.dmp"]),
        ("<https://h/x.dmp?a=1&amp;b=2|x>", ["https://h/x.dmp?a=1&b=2"]),
        ("`https://h/x.dmp`", ["https://h/x.dmp"]),
        ("(see https://h/x.dmp).", ["https://h/x.dmp"]),
        ("https://h/a_(1).dmp", ["https://h/a_(1).dmp"]),
        ("HTTPS://H/X.DMP!", ["HTTPS://H/X.DMP"]),
        ("<https://h/x.dmp> and <https://h/x.dmp|again> https://h/x.dmp", ["https://h/x.dmp"]),
        ("<https://h/1.zip> then https://h/2.zip", ["https://h/1.zip", "https://h/2.zip"]),
        ("<@U123> <#C1|general> <mailto:a@b|a@b> <!here> ftp://h/x.dmp", []),
        ("<https://>", []),
        ("<https://h:99999/x.dmp> <https://[bad/x.dmp>", []),
        ("no link", []),
    ],
)
def test_links_are_found(text: str, urls: list[str]) -> None:
    assert [found.url for found in find_links(text)] == urls


def test_a_flood_of_links_is_cut() -> None:
    assert len(find_links(" ".join(f"<https://h/{n}.dmp>" for n in range(500)))) == MAX_LINKS


@given(st.text(alphabet="<>|https://ab.dmp&;?=@[]()% ", max_size=80))
def test_no_text_breaks_the_finder(text: str) -> None:
    for found in find_links("https://h/" + text):
        assert found.host
        assert "?" not in found.shown
        assert isinstance(found.name, str)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://h/MEMORY.DMP", True),
        ("https://h/a.mdmp", True),
        ("https://h/dumps.tar.gz", True),
        ("https://h/x%2Edmp", True),
        ("https://h/x.dmp?X-Amz-Signature=abc", True),
        ("https://h/x.dmp#part", True),
        ("https://h/s/abc/download?path=%2F&files=MEMORY.DMP", True),
        ("https://h/x.dmp/", False),
        ("https://h/x.html", False),
        ("https://h/search?q=x.dmp", False),
        ("https://h/dmp", False),
        ("https://h/", False),
    ],
)
def test_unmentioned_only_dumps_and_archives_are_wanted(url: str, wanted: bool) -> None:
    assert looks_like_a_dump(url) == wanted
    assert is_wanted(link(url), addressed=False) == wanted
    assert is_wanted(link(url), addressed=True)


def test_a_configured_host_is_wanted_whatever_the_link_ends_in() -> None:
    on_host = link("https://dumps.example.com/view/7")
    assert is_wanted(on_host, addressed=False, hosts={"Dumps.Example.com"})
    assert is_wanted(on_host, addressed=False, hosts={".example.com"})
    assert not is_wanted(on_host, addressed=False, hosts={"example.com"})
    assert not is_on("badexample.com", {".example.com"})
    assert is_on("example.com", {".example.com"})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://user:secret@h:8443/a/x.dmp?sig=secret#secret", "https://h:8443/a/x.dmp"),
        ("https://h/x.dmp;session=secret", "https://h/x.dmp"),
        ("https://[::1]:80/x.dmp?secret", "https://[::1]:80/x.dmp"),
        ("https://[bad?secret", "a malformed link"),
        ("https://h:bad/secret", "a malformed link"),
    ],
)
def test_what_is_shown_of_a_link_holds_no_secret(url: str, said: str) -> None:
    assert shown(url) == said
    assert "secret" not in shown(url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/MEM%20ORY.DMP?x=1", "MEM ORY.DMP"),
        ("https://h/download?files=C%3A%5Cdumps%5CMEMORY.DMP", "MEMORY.DMP"),
        ("https://h/", "h"),
        ("https://h", "h"),
    ],
)
def test_a_link_has_a_name_for_people(url: str, name: str) -> None:
    assert link(url).name == name
