"""The forty questions: what an answer must say and must not say, and where the honest answer is that there is none."""

from collections.abc import Iterator
from typing import Any

import pytest

from bot.questions import Answer
from storage.store import Store
from tests.bot.forty_questions import QUESTIONS, answered, history, problems, said_in


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with history(tmp_path_factory.mktemp("forty")) as opened:
        yield opened


@pytest.mark.parametrize("told", QUESTIONS, ids=lambda told: str(told["ask"]))
def test_the_answer_says_what_it_must(store: Store, told: dict[str, Any]) -> None:
    answer = answered(store, told)
    assert problems(told, answer) == [], said_in(answer)


def test_each_way_to_answer_wrongly_is_noticed() -> None:
    told = {"says": ["yes"], "never": ["no"], "rows": [1]}
    assert problems(told, Answer(("no",), understood=False)) == [
        "does not say 'yes'", "says 'no'", "refused", "lists [], not [1]",
    ]  # fmt: skip
    assert problems({"refused": True}, Answer(("yes",))) == ["answered what nobody can answer"]


def test_there_are_forty() -> None:
    assert len(QUESTIONS) == 40
