"""Friendly names of devices that Windows itself creates, by instance id.

The name a person knows stands in the registry (DeviceDesc, FriendlyName), which no dump holds. These instance ids
are the same on every machine, so their names can be facts of a table. English names as Device Manager shows them.
"""

FRIENDLY_NAMES = {
    r"SWD\MSRRAS\MS_SSTPMINIPORT": "WAN Miniport (SSTP)",
    r"SWD\MSRRAS\MS_AGILEVPNMINIPORT": "WAN Miniport (IKEv2)",
    r"SWD\MSRRAS\MS_L2TPMINIPORT": "WAN Miniport (L2TP)",
    r"SWD\MSRRAS\MS_PPTPMINIPORT": "WAN Miniport (PPTP)",
    r"SWD\MSRRAS\MS_PPPOEMINIPORT": "WAN Miniport (PPPOE)",
    r"SWD\MSRRAS\MS_NDISWANBH": "WAN Miniport (Network Monitor)",
    r"SWD\MSRRAS\MS_NDISWANIP": "WAN Miniport (IP)",
    r"SWD\MSRRAS\MS_NDISWANIPV6": "WAN Miniport (IPv6)",
    # Windows 7 and 8 enumerate the same miniports below ROOT.
    r"ROOT\MS_SSTPMINIPORT\0000": "WAN Miniport (SSTP)",
    r"ROOT\MS_AGILEVPNMINIPORT\0000": "WAN Miniport (IKEv2)",
    r"ROOT\MS_L2TPMINIPORT\0000": "WAN Miniport (L2TP)",
    r"ROOT\MS_PPTPMINIPORT\0000": "WAN Miniport (PPTP)",
    r"ROOT\MS_PPPOEMINIPORT\0000": "WAN Miniport (PPPOE)",
    r"ROOT\MS_NDISWANBH\0000": "WAN Miniport (Network Monitor)",
    r"ROOT\MS_NDISWANIP\0000": "WAN Miniport (IP)",
    r"ROOT\MS_NDISWANIPV6\0000": "WAN Miniport (IPv6)",
    r"ROOT\KDNIC\0000": "Microsoft Kernel Debug Network Adapter",
    r"ROOT\BASICDISPLAY\0000": "Microsoft Basic Display Driver",
    r"ROOT\BASICRENDER\0000": "Microsoft Basic Render Driver",
    r"ROOT\COMPOSITEBUS\0000": "Composite Bus Enumerator",
    r"ROOT\NDISVIRTUALBUS\0000": "NDIS Virtual Network Adapter Enumerator",
    r"ROOT\UMBUS\0000": "UMBus Root Bus Enumerator",
    r"ROOT\SWENUM\0000": "Plug and Play Software Device Enumerator",
    r"ROOT\SPACEPORT\0000": "Microsoft Storage Spaces Controller",
    r"ROOT\VOLMGR\0000": "Volume Manager",
    r"ROOT\VDRVROOT\0000": "Microsoft Virtual Drive Enumerator",
    r"ROOT\RDPBUS\0000": "Remote Desktop Device Redirector Bus",
    r"ROOT\SYSTEM\0000": "Plug and Play Software Device Enumerator",
    r"ROOT\MSSMBIOS\0000": "Microsoft System Management BIOS Driver",
    r"ROOT\ACPI_HAL\0000": "ACPI x64-based PC",
}


def friendly_name(instance_path: str | None) -> str | None:
    """The name a person knows for a device that Windows itself created; None for any other device."""
    return FRIENDLY_NAMES.get(instance_path.upper()) if instance_path else None
