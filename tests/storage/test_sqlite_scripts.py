"""Scripts of several statements on SQLite: each is run, within the transaction that is open."""

from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.sqlite import open_sqlite

SCRIPT = """
CREATE TABLE seen (text TEXT NOT NULL);
CREATE TABLE noted (text TEXT NOT NULL);
CREATE TRIGGER noting AFTER INSERT ON seen BEGIN
    INSERT INTO noted VALUES (new.text || ';');
    INSERT INTO noted VALUES ('twice; -- no comment');
END;
INSERT INTO seen VALUES ('a;b')
"""


def test_triggers_and_texts_have_semicolons_inside(tmp_path: Path) -> None:
    database = open_sqlite(tmp_path / "x.sqlite")
    database.script(SCRIPT)
    assert database.rows("SELECT text FROM noted") == [{"text": "a;b;"}, {"text": "twice; -- no comment"}]
    database.close()


@pytest.mark.parametrize("wrong", ["INSERT INTO nowhere VALUES (1);", "INSERT INTO seen VALUES ('no end);"])
def test_a_script_is_part_of_its_transaction(tmp_path: Path, wrong: str) -> None:
    database = open_sqlite(tmp_path / "x.sqlite")
    with pytest.raises(StorageError), database.write():
        database.script(f"{SCRIPT}; {wrong}")
    assert database.rows("SELECT name FROM sqlite_master") == []
    database.close()
