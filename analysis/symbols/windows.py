"""What a build number says: the version in front of it, and the product's name.

Source: Microsoft Learn, release information of Windows client and Windows Server.
"""

NT_WORKSTATION = 1  # product type of a dump header; 2 is a domain controller, 3 a server

# First build of a line → client, server. None: there is no product of that kind in the line.
PRODUCTS: tuple[tuple[int, str | None, str | None], ...] = (
    (2195, "Windows 2000", "Windows 2000 Server"),
    (2600, "Windows XP", None),
    (3790, "Windows XP x64", "Windows Server 2003"),
    (6000, "Windows Vista", "Windows Server 2008"),
    (7600, "Windows 7", "Windows Server 2008 R2"),
    (9200, "Windows 8", "Windows Server 2012"),
    (9600, "Windows 8.1", "Windows Server 2012 R2"),
    (10240, "Windows 10", "Windows Server 2016"),
    (16299, "Windows 10", "Windows Server, version 1709"),
    (17134, "Windows 10", "Windows Server, version 1803"),
    (17763, "Windows 10", "Windows Server 2019"),
    (18362, "Windows 10", "Windows Server, version 1903"),
    (18363, "Windows 10", "Windows Server, version 1909"),
    (19041, "Windows 10", "Windows Server, version 2004"),
    (19042, "Windows 10", "Windows Server, version 20H2"),
    (20348, None, "Windows Server 2022"),
    (22000, "Windows 11", None),
    (25398, None, "Windows Server, version 23H2"),
    (26100, "Windows 11", "Windows Server 2025"),
)

VERSIONS = (
    (2195, "5.0"),
    (2600, "5.1"),
    (3790, "5.2"),
    (6000, "6.0"),
    (7600, "6.1"),
    (9200, "6.2"),
    (9600, "6.3"),
    (10240, "10.0"),
)


def os_name(build: int, product_type: int | None) -> str | None:
    """The product's name ("Windows 10", "Windows Server 2019"), or None for a build older than all that are known.

    Without a product type the client's name is given where the line has one.
    """
    found = [names for first, *names in PRODUCTS if first <= build]
    if not found:
        return None
    wants_server = product_type is not None and product_type != NT_WORKSTATION
    preferred = 1 if wants_server else 0
    last = found[-1]
    if last[preferred] is not None:
        return last[preferred]
    # A client build between two server lines, or the other way round.
    near = [names[preferred] for names in found if names[preferred] is not None]
    return last[1 - preferred] if product_type is None else near[-1]


def version_of(build: int) -> str:
    """The full version of a major build: 19041 → "10.0.19041"."""
    found = [version for first, version in VERSIONS if first <= build]
    return f"{found[-1]}.{build}" if found else str(build)
