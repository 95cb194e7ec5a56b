"""Product names and versions by build."""

import pytest

from analysis.symbols.windows import os_name, version_of


@pytest.mark.parametrize(
    ("build", "product_type", "expected"),
    [
        (7601, 1, "Windows 7"),
        (7601, 3, "Windows Server 2008 R2"),
        (9200, 2, "Windows Server 2012"),
        (9600, 1, "Windows 8.1"),
        (10240, 1, "Windows 10"),
        (14393, 3, "Windows Server 2016"),
        (17763, 2, "Windows Server 2019"),
        (17763, 1, "Windows 10"),
        (19041, 1, "Windows 10"),
        (19045, None, "Windows 10"),
        (20348, 3, "Windows Server 2022"),
        (20348, None, "Windows Server 2022"),
        (22000, 1, "Windows 11"),
        (22000, None, "Windows 11"),
        (22631, 1, "Windows 11"),
        (25398, 3, "Windows Server, version 23H2"),
        (26100, 1, "Windows 11"),
        (26100, 3, "Windows Server 2025"),
        (26200, 1, "Windows 11"),
        (2600, 1, "Windows XP"),
        (1381, 1, None),
    ],
)
def test_product_names(build: int, product_type: int | None, expected: str | None) -> None:
    assert os_name(build, product_type) == expected


def test_versions() -> None:
    assert [version_of(build) for build in (7601, 9600, 10240, 26100, 1)] == [
        "6.1.7601",
        "6.3.9600",
        "10.0.10240",
        "10.0.26100",
        "1",
    ]
