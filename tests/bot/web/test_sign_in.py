"""Signing in with Slack: who gets a session, who does not and why, and what a session shows."""

import hmac
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from bot.web.doors import Doors
from bot.web.guard import Access
from bot.web.pages import create_site
from bot.web.sealed import seal_json
from bot.web.signin.flow import Terms, local
from bot.web.signin.issuer import Client, Issuer
from storage import Store
from storage.clock import utc_now
from storage.sight import Sight
from tests.bot.web.documents import parsed
from tests.bot.web.issuer import CLIENT, CLIENT_SECRET, ISSUER, PERSON, TEAM, Claims, Fake, forge, key, sign
from tests.bot.web.sites import HUNG, PRIVATE, SECRET, history
from tests.storage.samples import Clock

URL = "https://pileup.example"
ACCESS = Access(SECRET, URL)


class Members:
    """Who may see what; ``asked`` counts."""

    def __init__(self) -> None:
        self.channels = {"U1": frozenset({"C1"}), "U9": frozenset({"C1", "G9"})}

    async def sight_of(self, team: str, person: str) -> Sight:
        return Sight(self.channels.get(person, frozenset()))


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with history(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def members() -> Members:
    return Members()


def terms(fake: Fake, members: Members) -> Terms:
    async def is_ours(team: str) -> bool:
        return team == "T1"

    issuer = Issuer(Client(ISSUER, CLIENT, CLIENT_SECRET, f"{URL}/signin/callback"), fake.http)
    return Terms(issuer, SECRET, is_ours, members.sight_of, timedelta(hours=12))


@asynccontextmanager
async def site(store: Store, fake: Fake, members: Members, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    made = create_site(store, ACCESS, clock, doors=Doors(terms(fake, members)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url=URL) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, fake: Fake, wanted: str = "/") -> httpx.Response:
    sent = await client.get("/signin", params={"next": wanted})
    assert sent.status_code == 303
    return await client.get(fake.agree(sent.headers["location"]))


async def test_who_signs_in_sees_what_they_may_see_in_slack(store: Store, members: Members, clock: Clock) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        denied = await client.get(f"/crashes/{HUNG}")
        assert denied.status_code == 403
        assert f"/signin?next=%2Fcrashes%2F{HUNG}" in parsed(denied.text).values("href")
        back = await sign_in(client, fake, f"/crashes/{HUNG}")
        assert (back.status_code, back.headers["location"]) == (303, f"/crashes/{HUNG}")
        page = await client.get(f"/crashes/{HUNG}")
        assert page.status_code == 200
        assert "Anna" in parsed(page.text).text
        assert (await client.get(f"/crashes/{PRIVATE}")).status_code == 404
        fake.person = "U9"
        await sign_in(client, fake)
        assert (await client.get(f"/crashes/{PRIVATE}")).status_code == 200


async def test_the_cookie_of_a_session_is_out_of_reach_of_scripts_other_sites_and_plain_http(
    store: Store, members: Members, clock: Clock
) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        back = await sign_in(client, fake)
    (cookie,) = [one for one in back.headers.get_list("set-cookie") if one.startswith("__Host-pileup-session=")]
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))


async def test_a_session_ends_by_itself(store: Store, members: Members, clock: Clock) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        await sign_in(client, fake)
        clock.turn(seconds=12 * 3600 - 1)
        assert (await client.get("/")).status_code == 200
        clock.turn(seconds=1)
        assert (await client.get("/")).status_code == 403


async def test_signing_out_ends_the_session_also_for_who_copied_the_cookie(
    store: Store, members: Members, clock: Clock
) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        await sign_in(client, fake)
        cookie = client.cookies["__Host-pileup-session"]
        page = parsed((await client.get("/")).text)
        (form,) = [a["value"] for tag, a in page.elements if tag == "input" and a.get("name") == "form"]
        assert (await client.post("/signout", data={"form": "x" * 43})).status_code == 403
        assert (await client.get("/")).status_code == 200
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        assert (await client.post("/signout", data={"form": form}, headers=elsewhere)).status_code == 403
        assert (await client.get("/")).status_code == 200
        assert (await client.post("/signout", data={"form": form})).status_code == 303
        assert (await client.get("/")).status_code == 403
        again = await client.get("/", headers={"Cookie": f"__Host-pileup-session={cookie}"})
        assert again.status_code == 403
        await client.get("/signin/callback?code=x&state=y")
    kept = [(one.deed, one.by, one.team, one.detail, one.allowed) for one in store.audit.entries()]
    assert kept == [
        ("sign in", "", "", "state", False),
        ("sign out", "U1", "T1", "", True),
        ("sign in", "U1", "T1", "", True),
    ]


async def test_a_form_of_one_session_is_no_form_of_another(store: Store, members: Members, clock: Clock) -> None:
    fake = Fake()
    forms = []
    async with site(store, fake, members, clock) as client:
        for _ in range(2):
            await sign_in(client, fake)
            page = parsed((await client.get("/")).text)
            forms += [a["value"] for tag, a in page.elements if tag == "input" and a.get("name") == "form"]
        assert (await client.post("/signout", data={"form": forms[0]})).status_code == 403


async def test_who_leaves_a_channel_or_the_workspace_no_longer_sees_it(
    store: Store, members: Members, clock: Clock
) -> None:
    fake = Fake(person="U9")
    async with site(store, fake, members, clock) as client:
        await sign_in(client, fake)
        assert (await client.get(f"/crashes/{PRIVATE}")).status_code == 200
        members.channels["U9"] = frozenset({"C1"})
        assert (await client.get(f"/crashes/{PRIVATE}")).status_code == 404
        assert (await client.get(f"/crashes/{HUNG}")).status_code == 200
        members.channels["U9"] = frozenset()
        assert (await client.get(f"/crashes/{HUNG}")).status_code == 403


async def test_a_session_that_the_browser_brought_is_not_taken_over(
    store: Store, members: Members, clock: Clock
) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        await sign_in(client, fake)
        brought = client.cookies["__Host-pileup-session"]
        await sign_in(client, fake)
        assert client.cookies["__Host-pileup-session"] != brought
        answer = await client.get("/", headers={"Cookie": f"__Host-pileup-session={brought}"})
        assert answer.status_code == 403


def _hs256(fake: Fake, claims: Claims) -> str:
    # The old trick: the public key, as everybody has it, taken as the secret of an HMAC.
    pem = (
        key("first")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return forge(claims, {"alg": "HS256", "kid": "first"}, lambda said: hmac.digest(pem, said, "sha256"))


LIES: dict[str, dict[str, Any]] = {
    "another audience": {"claims": lambda c: c | {"aud": "999.999"}},
    "given to another to show it to us": {"claims": lambda c: c | {"azp": "9.9"}},
    "an audience beside us, asked for by that": {"claims": lambda c: c | {"aud": [CLIENT, "9.9"], "azp": "9.9"}},
    "another issuer": {"claims": lambda c: c | {"iss": "https://evil.example"}},
    "another nonce": {"claims": lambda c: c | {"nonce": "another"}},
    "no nonce": {"claims": lambda c: {name: c[name] for name in c if name != "nonce"}},
    "expired": {"claims": lambda c: c | {"exp": int(time.time()) - 120}},
    "no end": {"claims": lambda c: {name: c[name] for name in c if name != "exp"}},
    "not yet": {"claims": lambda c: c | {"nbf": int(time.time()) + 600}},
    "another workspace": {"team": "T2"},
    "no workspace": {"claims": lambda c: {name: c[name] for name in c if name != TEAM}},
    "a person who sees nothing": {"person": "U404"},
    "another access token": {"claims": lambda c: c | {"at_hash": "A" * 22}},
    "userinfo of another person": {"about": {"sub": "U9"}},
    "userinfo of another workspace": {"about": {TEAM: "T2"}},
    "userinfo refused": {"about": {"ok": False, "error": "invalid_auth"}},
    "algorithm none": {"signed": lambda _, c: forge(c, {"alg": "none", "kid": "first"})},
    "algorithm None in another spelling": {"signed": lambda _, c: forge(c, {"alg": "nOnE", "kid": "first"})},
    "the public key as an HMAC's": {"signed": _hs256},
    "no key named": {"signed": lambda _, c: forge(c, {"alg": "RS256"})},
    "a key that is not published": {"signs_with": "second"},
    "another key under a published name": {"signed": lambda _, c: sign(c, "second", kid="first")},
    "a key in the token itself": {"signed": lambda _, c: sign(c, "second", kid="https://evil.example/keys")},
    "no token": {"signed": lambda _, c: "x"},
    "a description of another issuer": {"description": lambda d: d | {"issuer": "https://evil.example"}},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_signs_nobody_in(store: Store, members: Members, clock: Clock, lie: str) -> None:
    fake = Fake(**LIES[lie])
    async with site(store, fake, members, clock) as client:
        sent = await client.get("/signin")
        if sent.status_code == 303:
            back = await client.get(fake.agree(sent.headers["location"]))
            assert back.status_code == 403
            assert "rassstp" not in back.text
        else:
            assert lie == "a description of another issuer"
        assert "__Host-pileup-session" not in client.cookies
        assert (await client.get("/")).status_code == 403


async def test_a_description_cannot_lead_from_https_to_http(store: Store, members: Members, clock: Clock) -> None:
    fake = Fake(description=lambda d: d | {"token_endpoint": "http://id.example/token"})
    async with site(store, fake, members, clock) as client:
        assert (await client.get("/signin")).status_code == 403


async def test_without_pkce_at_the_issuer_there_is_none_and_with_it_a_verifier_is_needed(
    store: Store, members: Members, clock: Clock
) -> None:
    for has_pkce in (False, True):
        fake = Fake(has_pkce=has_pkce)
        async with site(store, fake, members, clock) as client:
            sent = await client.get("/signin")
            asked = parse_qs(urlsplit(sent.headers["location"]).query)
            assert asked.get("code_challenge_method", []) == (["S256"] if has_pkce else [])
            assert (await client.get(fake.agree(sent.headers["location"]))).status_code == 303
    stolen = fake.agree(sent.headers["location"])
    (code,) = parse_qs(urlsplit(stolen).query)["code"]
    tokens = await _token_without_verifier(fake, code)
    assert tokens == {"ok": False, "error": "invalid_code"}


async def _token_without_verifier(fake: Fake, code: str) -> dict[str, Any]:
    form = {"code": code, "client_id": CLIENT, "client_secret": CLIENT_SECRET, "redirect_uri": f"{URL}/signin/callback"}
    async with fake.http() as client:
        said: dict[str, Any] = (await client.post(f"{ISSUER}/token", data=form)).json()
    return said


async def test_a_return_works_once_and_only_in_the_browser_that_went(
    store: Store, members: Members, clock: Clock
) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        sent = await client.get("/signin")
        way = client.cookies["__Host-pileup-signin"]
        address = fake.agree(sent.headers["location"])
        other = await client.get(address, headers={"Cookie": "x=y"})
        assert other.status_code == 403
        twisted = address.replace("state=", "state=x")
        assert (await client.get(twisted)).status_code == 403
        assert (await client.get(address)).status_code == 303
        asked = fake.asked["/token"]
        replayed = await client.get(address, headers={"Cookie": f"__Host-pileup-signin={way}"})
        assert replayed.status_code == 403
        assert fake.asked["/token"] == asked


async def test_a_spent_code_is_refused_by_the_issuer(store: Store, members: Members, clock: Clock) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        sent = await client.get("/signin")
        address = fake.agree(sent.headers["location"])
        fake.codes.clear()
        assert (await client.get(address)).status_code == 403


async def test_a_sign_in_must_be_over_in_ten_minutes(store: Store, members: Members, clock: Clock) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        sent = await client.get("/signin")
        way = client.cookies["__Host-pileup-signin"]
        clock.turn(seconds=600)
        answer = await client.get(
            fake.agree(sent.headers["location"]), headers={"Cookie": f"__Host-pileup-signin={way}"}
        )
    assert answer.status_code == 403


async def test_a_seal_for_one_purpose_opens_no_other(store: Store, members: Members, clock: Clock) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        forged = seal_json(SECRET, "session", {"state": "s", "nonce": "n", "next": "/", "until": 1e12})
        answer = await client.get(
            "/signin/callback?code=c&state=s", headers={"Cookie": f"__Host-pileup-signin={forged}"}
        )
        assert answer.status_code == 403
    assert "/token" not in fake.asked


async def test_what_slack_says_no_to_is_said(store: Store, members: Members, clock: Clock) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        sent = await client.get("/signin")
        (state,) = parse_qs(urlsplit(sent.headers["location"]).query)["state"]
        answer = await client.get(f"/signin/callback?error=access_denied&state={state}")
        assert answer.status_code == 403
        assert "Slack did not let you sign in." in parsed(answer.text).text


async def test_a_new_key_is_fetched_once_and_an_unknown_one_not_again_and_again(members: Members, store: Store) -> None:
    seconds = [0.0]
    fake = Fake()
    issuer = Issuer(Client(ISSUER, CLIENT, CLIENT_SECRET, URL), fake.http, lambda: seconds[0])
    await issuer.key("first")
    fake.published = ["second"]
    for _ in range(5):
        with pytest.raises(Exception, match="unknown-key"):
            await issuer.key("second")
    assert fake.asked["/keys"] == 1  # a minute has not passed
    seconds[0] = 60.0
    await issuer.key("second")
    assert fake.asked["/keys"] == 2
    with pytest.raises(Exception, match="unknown-key"):
        await issuer.key("first")  # withdrawn
    seconds[0] = 3700.0
    await issuer.key("second")
    assert fake.asked["/keys"] == 3


@pytest.mark.parametrize(
    "address",
    ["//evil.example", "/\\evil.example", "https://evil.example", "evil.example", "", "/a\r\nSet-Cookie: x=y",
     "/\t/evil.example", "javascript:alert(1)", "/a\\b", "/ä", "/" + "a" * 1000, "/signin", "/signout", "/a\n"],
)  # fmt: skip
def test_no_sign_in_leads_off_the_site(address: str) -> None:
    assert local(address) == "/"


@pytest.mark.parametrize("address", ["/", "/crashes/3", "/crashes?q=last+5+crashes&x=%2F%2Fevil", "/groups/9f%2F4"])
def test_a_sign_in_leads_back_to_the_page(address: str) -> None:
    assert local(address) == address


async def test_the_address_to_come_back_to_is_ours_whatever_host_was_asked(
    store: Store, members: Members, clock: Clock
) -> None:
    fake = Fake()
    async with site(store, fake, members, clock) as client:
        sent = await client.get("/signin", headers={"Host": "evil.example"})
    asked = parse_qs(urlsplit(sent.headers["location"]).query)
    assert asked["redirect_uri"] == [f"{URL}/signin/callback"]
    assert asked["scope"] == ["openid profile"]
    assert len(asked["nonce"][0]) >= 32
    assert asked["nonce"] != asked["state"]


async def test_links_still_work_beside_sessions(store: Store, members: Members, clock: Clock) -> None:
    from bot.web import links

    fake = Fake()
    async with site(store, fake, members, clock) as client:
        await client.get(f"/open/{links.sign(SECRET, 'G9', utc_now() + timedelta(days=1))}")
        assert (await client.get(f"/crashes/{PRIVATE}")).status_code == 200
        assert (await client.get(f"/crashes/{HUNG}")).status_code == 404
        await sign_in(client, fake)
        assert (await client.get(f"/crashes/{PRIVATE}")).status_code == 200
        assert (await client.get(f"/crashes/{HUNG}")).status_code == 200


async def test_ids_of_the_person_are_slack_s_not_the_subject_of_another_issuer(
    store: Store, members: Members, clock: Clock
) -> None:
    fake = Fake(claims=lambda c: c | {PERSON: "U9"})
    async with site(store, fake, members, clock) as client:
        assert (await sign_in(client, fake)).status_code == 303
        assert (await client.get(f"/crashes/{PRIVATE}")).status_code == 200
