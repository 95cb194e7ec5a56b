"""What the header says of the machine reaches the report."""

from pathlib import Path

from analysis.formats import open_dump
from analysis.verdict.system import describe_system
from tests.formats.built import full, header


def test_the_machines_memory_is_told_where_its_runs_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "any.dmp"
    path.write_bytes(full({1: b"x", 2: b"y", 9: b"z"}))
    with open_dump(path) as image:
        assert describe_system(image.header, None).memory_bytes == 3 << 12
    path.write_bytes(header(4))
    with open_dump(path) as image:
        assert describe_system(image.header, None).memory_bytes is None
