"""Tokens: a secret opens what was said when it was made, until its end, and is never kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import Store
from storage.tokens import NameTaken
from tests.storage.samples import NOON, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with Store.open(tmp_path / "pileup.sqlite", clock) as opened:
        yield opened


def test_a_secret_opens_its_token_and_the_database_does_not_hold_it(store: Store, tmp_path: Path) -> None:
    token, secret = store.tokens.add("lab-7", ["read", "analyze"], ["C1"])
    found = store.tokens.of(secret)
    assert found is not None
    assert (found.id, found.scopes, found.channels) == (token.id, token.scopes, frozenset({"C1"}))
    assert sorted(found.scopes) == ["analyze", "read"]
    store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in kept
    assert secret.removeprefix("pileup_").encode() not in kept


@pytest.mark.parametrize(
    "change", [str.upper, lambda s: s[:-1], lambda s: s + "A", lambda s: s.removeprefix("pileup_")]
)
def test_another_secret_opens_nothing(store: Store, change: type[str]) -> None:
    _, secret = store.tokens.add("lab-7", ["read"])
    assert store.tokens.of(change(secret)) is None
    assert store.tokens.of("\ud800") is None


def test_a_token_ends_when_its_days_are_over_or_when_it_is_revoked(store: Store, clock: Clock) -> None:
    _, short = store.tokens.add("short", ["read"], days=1)
    _, long = store.tokens.add("long", ["read"])
    clock.turn(days=1)
    assert store.tokens.of(short) is None
    assert store.tokens.of(long) is not None
    assert store.tokens.revoke("long")
    assert store.tokens.of(long) is None
    assert not store.tokens.revoke("long")


def test_a_name_is_taken_until_its_token_has_ended(store: Store, clock: Clock) -> None:
    store.tokens.add("lab", ["read"], days=1)
    with pytest.raises(NameTaken):
        store.tokens.add("lab", ["read"])
    clock.turn(days=2)
    again, _ = store.tokens.add("lab", ["read"])
    assert [token.is_valid(clock.now) for token in store.tokens.all()] == [False, True]
    assert again.expires_at is None


def test_the_last_use_is_noted_at_most_once_a_minute(store: Store, clock: Clock) -> None:
    _, secret = store.tokens.add("lab", ["read"])
    store.tokens.of(secret)
    clock.turn(seconds=59)
    store.tokens.of(secret)
    assert [token.used_at for token in store.tokens.all()] == [NOON]
    clock.turn(seconds=1)
    store.tokens.of(secret)
    assert [token.used_at for token in store.tokens.all()] == [clock.now]
