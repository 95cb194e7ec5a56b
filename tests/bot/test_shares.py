"""Share pages become direct downloads; every form in one table. Signed links say when they ended."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.fetch.pages import is_page, judge
from bot.fetch.problems import FetchFailed
from bot.fetch.shares import direct, expired

DRIVE = "https://drive.usercontent.google.com/download?id=1AbC_d-9&export=download&confirm=t"
ONEDRIVE = "https://api.onedrive.com/v1.0/shares/u!aHR0cHM6Ly8xZHJ2Lm1zL3UvcyFBbmFi/root/content"
SIGNED = (
    "https://b.s3.eu-central-1.amazonaws.com/x.dmp?X-Amz-Date=20260501T100000Z&X-Amz-Expires=3600&X-Amz-Signature=a"
)

# What people post, and where the file is.
FORMS = [
    ("https://www.dropbox.com/s/abc123/x.dmp?dl=0", "https://www.dropbox.com/s/abc123/x.dmp?dl=1"),
    ("https://www.dropbox.com/s/abc123/x.dmp", "https://www.dropbox.com/s/abc123/x.dmp?dl=1"),
    (
        "https://www.dropbox.com/scl/fi/k/x.zip?rlkey=r&st=s&dl=0#t",
        "https://www.dropbox.com/scl/fi/k/x.zip?rlkey=r&st=s&dl=1",
    ),
    ("https://dropbox.com/sh/k/folder?dl=0", "https://dropbox.com/sh/k/folder?dl=1"),
    ("https://dl.dropboxusercontent.com/s/abc/x.dmp", "https://dl.dropboxusercontent.com/s/abc/x.dmp"),
    ("https://drive.google.com/file/d/1AbC_d-9/view?usp=sharing", DRIVE),
    ("https://drive.google.com/file/u/0/d/1AbC_d-9/edit", DRIVE),
    ("https://drive.google.com/file/d/1AbC_d-9", DRIVE),
    ("https://drive.google.com/open?id=1AbC_d-9", DRIVE),
    ("https://drive.google.com/uc?id=1AbC_d-9&export=download", DRIVE),
    ("https://docs.google.com/uc?export=download&id=1AbC_d-9", DRIVE),
    ("https://drive.google.com/file/d/1AbC_d-9/view?resourcekey=0-k", f"{DRIVE}&resourcekey=0-k"),
    ("https://drive.google.com/drive/folders/1AbC", "https://drive.google.com/drive/folders/1AbC"),
    ("https://1drv.ms/u/s!Anab", ONEDRIVE),
    ("https://onedrive.live.com/redir?resid=A!1&authkey=!k", "https://onedrive.live.com/download?resid=A!1&authkey=!k"),
    ("https://onedrive.live.com/embed?resid=A!1&authkey=k", "https://onedrive.live.com/download?resid=A!1&authkey=k"),
    ("https://acme.sharepoint.com/:u:/s/Ops/Eabc?e=x", "https://acme.sharepoint.com/:u:/s/Ops/Eabc?e=x&download=1"),
    (
        "https://acme-my.sharepoint.com/:u:/g/personal/a_b/Eabc",
        "https://acme-my.sharepoint.com/:u:/g/personal/a_b/Eabc?download=1",
    ),
    ("https://github.com/o/r/blob/main/d/x.dmp", "https://github.com/o/r/raw/main/d/x.dmp"),
    ("https://github.com/o/r/releases/download/v1/x.zip", "https://github.com/o/r/releases/download/v1/x.zip"),
    ("https://github.com/user-attachments/files/1/x.zip", "https://github.com/user-attachments/files/1/x.zip"),
    ("https://github.com/o/r/files/123/x.zip", "https://github.com/o/r/files/123/x.zip"),
    ("https://gist.github.com/anna/0a1b2c", "https://gist.github.com/anna/0a1b2c/raw"),
    ("https://git.example.com/g/p/-/blob/main/x.dmp", "https://git.example.com/g/p/-/raw/main/x.dmp"),
    ("https://cloud.example.com/s/AbCdEf123456789", "https://cloud.example.com/s/AbCdEf123456789/download"),
    (
        "https://cloud.example.com/index.php/s/AbCdEf123456789/",
        "https://cloud.example.com/index.php/s/AbCdEf123456789/download",
    ),
    (
        "https://example.com/nextcloud/index.php/s/AbCdEf123456789",
        "https://example.com/nextcloud/index.php/s/AbCdEf123456789/download",
    ),
    (
        "https://cloud.example.com/s/AbCdEf123456789/download?path=%2F&files=x.dmp",
        "https://cloud.example.com/s/AbCdEf123456789/download?path=%2F&files=x.dmp",
    ),
    ("https://example.com/s/short", "https://example.com/s/short"),
    (SIGNED, SIGNED),
    ("https://storage.googleapis.com/b/x.dmp?X-Goog-Signature=a", "https://storage.googleapis.com/b/x.dmp?X-Goog-Signature=a"),
    ("https://a.blob.core.windows.net/c/x.dmp?sv=1&sig=a%2Bb", "https://a.blob.core.windows.net/c/x.dmp?sv=1&sig=a%2Bb"),
    ("https://dropbox.com.evil.example/s/a/x?dl=0", "https://dropbox.com.evil.example/s/a/x?dl=0"),
    ("s3://crash-dumps/x.dmp", "s3://crash-dumps/x.dmp"),
    ("https://[bad", "https://[bad"),
]  # fmt: skip


@pytest.mark.parametrize(("posted", "file"), FORMS)
def test_a_share_page_becomes_its_file(posted: str, file: str) -> None:
    assert direct(posted) == file
    assert direct(file) == file


@given(st.text(alphabet="/:?=&%#abcs123.-_!~", max_size=60))
def test_no_address_breaks_the_rules(rest: str) -> None:
    for host in ("www.dropbox.com", "drive.google.com", "1drv.ms", "x.sharepoint.com", "github.com"):
        changed = direct(f"https://{host}/{rest}")
        assert changed.startswith("https://")
        assert isinstance(expired(changed, datetime.now(UTC)), datetime | None)


@pytest.mark.parametrize(
    ("url", "ended"),
    [
        (SIGNED, datetime(2026, 5, 1, 11, tzinfo=UTC)),
        (SIGNED.replace("Amz", "Goog"), datetime(2026, 5, 1, 11, tzinfo=UTC)),
        (SIGNED.replace("20260501", "20990501"), None),
        ("https://a/x?se=2026-05-01T11%3A00%3A00Z&sig=a", datetime(2026, 5, 1, 11, tzinfo=UTC)),
        ("https://a/x?se=2026-05-01&sig=a", datetime(2026, 5, 1, tzinfo=UTC)),
        ("https://a/x?Expires=1777633200&Signature=a", datetime(2026, 5, 1, 11, tzinfo=UTC)),
        ("https://a/x?Expires=99999999999999&Signature=a", None),
        ("https://a/x?X-Amz-Date=nonsense&X-Amz-Expires=1", None),
        ("https://a/x", None),
    ],
)
def test_a_signed_link_says_when_it_ended(url: str, ended: datetime | None) -> None:
    assert expired(url, datetime(2026, 11, 1, tzinfo=UTC)) == ended


ASKED = b"""<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">
<input type="hidden" name="id" value="1AbC"><input type="hidden" name="export" value="download">
<input type="hidden" name="uuid" value="a&amp;b"></form></body></html>"""


def test_drives_question_is_answered_and_nobody_elses() -> None:
    assert is_page(ASKED)
    url = "https://drive.usercontent.google.com/download?id=1AbC"
    assert judge(ASKED, url) == "https://drive.usercontent.google.com/download?id=1AbC&export=download&uuid=a%26b"
    for page, source in (
        (ASKED, "https://evil.example/x"),
        (ASKED.replace(b"drive.usercontent.google.com", b"evil.example"), url),
        (ASKED.replace(b"drive.usercontent.google.com", b"google.com.evil.example"), url),
    ):
        assert isinstance(judge(page, source), FetchFailed)


@given(st.binary(max_size=400))
def test_no_page_breaks_the_reader(page: bytes) -> None:
    assert judge(b"<html><title>" + page, "https://h/x")
