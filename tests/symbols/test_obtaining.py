"""What is said of symbol files that could not be had."""

from analysis.symbols.obtaining import told_together


def test_what_is_said_of_many_files_is_said_once() -> None:
    notes = [f"d{n}.sys: symbol file d{n}.pdb: store.example has no such file" for n in range(5)]
    other = "a.sys: symbol file a.pdb: it is damaged"
    assert told_together(["first", *notes, other, "first"]) == (
        "first",
        "symbol files d0.pdb, d1.pdb and 3 more: store.example has no such file",
        other,
    )


def test_a_few_files_are_told_one_by_one() -> None:
    notes = [f"d{n}.sys: symbol file d{n}.pdb: gone" for n in range(3)]
    assert told_together(notes) == tuple(notes)
