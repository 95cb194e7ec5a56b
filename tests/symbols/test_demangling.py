"""Names as they are shown on stacks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.symbols.demangling import short_name


@pytest.mark.parametrize(
    ("decorated", "shown"),
    [
        ("?Stop@Device@@QEAAXXZ", "Device::Stop"),
        ("?Run@?$Queue@H$03@ns@@QEAAXXZ", "ns::Queue<int, 4>::Run"),
        ("??0Device@@QEAA@XZ", "Device::Device"),
        ("??_GDevice@@UEAAPEAXI@Z", "Device::`scalar deleting dtor'"),
        ("??_EDevice@@W7EAAPEAXI@Z", "Device::`vector deleting dtor'"),
        ("??2@YAPEAX_K@Z", "operator new"),
        ("KeWaitForSingleObject", "KeWaitForSingleObject"),
        ("?not a name", "?not a name"),
        ("?" * 5000, "?" * 5000),
    ],
)
def test_decorated_names_are_shown_short_and_others_as_they_are(decorated: str, shown: str) -> None:
    assert short_name(decorated) == shown


@given(st.text(st.sampled_from("?@$_ABQEAXHZ0123456789abc"), max_size=200))
def test_any_text_has_a_name(text: str) -> None:
    assert short_name("?" + text)
