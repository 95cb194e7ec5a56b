"""How much the mere presence of a module on a stack says: our table of strengths, and the tables beside it.

The strengths follow what WinDbg was seen to conclude on public crashes; they are a starting point and say nothing
about guilt. Names here are without extension, lower case, matched exactly and never by prefix: a driver named
``ntfsx`` has nothing to do with ``ntfs``.
"""

from enum import IntEnum


class Strength(IntEnum):
    """How willingly a module is blamed; the strongest present wins, then the innermost frame."""

    NEVER = 0  # S3: carries everybody's calls
    WEAK = 1  # S2: a file system or framework; mostly a victim or a messenger
    NAMED = 2  # S1: a Windows driver that is sometimes guilty itself
    CANDIDATE = 3  # S0: everything else


KERNEL_NAMES = frozenset({"nt", "ntoskrnl", "ntkrnlmp", "ntkrnlpa", "ntkrpamp", "nt_wrong_symbols"})

NEVER = KERNEL_NAMES | {
    # The hardware abstraction layer under all its names.
    *("hal", "halmacpi", "halacpi", "halaacpi", "halapic", "halmps", "halmp", "halextintclpiodma", "halextpl080"),
    # Driver Verifier intercepts calls of the drivers it watches: it is between them and nt on the stack.
    *("verifier", "verifierext", "vrfcore", "wdfldr"),
    # Reports hardware errors, talks to the debugger, draws the boot screen.
    *("pshed", "kdcom", "kdnet", "kdstub", "bootvid", "werkernel"),
}

WEAK = frozenset(
    {
        *("ntfs", "refs", "refsv1", "fastfat", "exfat", "cdfs", "udfs", "rdbss", "fltmgr"),
        *("cng", "ksecdd", "ksecpkg", "ci", "clfs", "tm"),
        *("wdf01000", "wudfrd", "wudfpf", "hidclass", "usbport", "portcls", "ks", "ucx01000", "udecx", "msrpc"),
    }
)

NAMED = frozenset(
    {
        # Network
        *("ndis", "netio", "tcpip", "fwpkclnt", "afd", "http", "tunnel", "nwifi", "vwififlt", "wfplwfs", "pacer"),
        *("rassstp", "raspppoe", "raspptp", "rasl2tp", "rasagilevpn", "agilevpn", "ndiswan", "wanarp", "ndistapi"),
        *("ndproxy", "ndisuio", "netbt", "netbios", "mrxsmb", "mrxsmb10", "mrxsmb20", "srv", "srv2", "srvnet", "mup"),
        *("bridge", "vmswitch", "dfsc", "tdx", "tdi", "asyncmac", "nsiproxy", "msgpc", "mslldp", "rspndr", "lltdio"),
        # Storage
        *("storport", "scsiport", "ataport", "atapi", "pciide", "pciidex", "storahci", "stornvme", "disk", "classpnp"),
        *("partmgr", "volmgr", "volmgrx", "volsnap", "mountmgr", "spaceport", "iorate", "fvevol", "rdyboost"),
        *("sdbus", "sdport", "sdstor", "uaspstor", "usbstor", "msiscsi", "mpio", "msdsm", "ehstorclass"),
        # Graphics
        *("dxgkrnl", "dxgmms1", "dxgmms2", "win32k", "win32kfull", "win32kbase", "win32ksgd", "cdd", "watchdog"),
        *("videoprt", "monitor", "basicdisplay", "basicrender", "displaymux"),
        # Buses, power, input
        *("pci", "acpi", "acpiex", "msisadrv", "isapnp", "intelppm", "processr", "pdc", "umbus", "swenum"),
        *("usbxhci", "usbhub3", "usbhub", "usbehci", "usbuhci", "usbohci", "usbccgp", "usbd", "hidusb", "hidparse"),
        *("kbdclass", "mouclass", "kbdhid", "mouhid", "i8042prt", "vmbus", "vmbkmcl", "winhv", "winhvr", "hdaudbus"),
        *("usbvideo", "usbaudio", "bthport", "bthusb", "serial", "sermouse", "compositebus", "rdpbus"),
    }
)

# Libraries and port drivers that run their clients' code: with a client on the same stack, the client goes in front.
FRAMEWORKS = frozenset(
    {
        *("wdf01000", "wudfrd", "fltmgr", "ks", "portcls", "hidclass", "ucx01000", "udecx", "usbport"),
        *("ndis", "netio", "fwpkclnt", "tdi", "tdx", "storport", "scsiport", "ataport", "videoprt", "dxgkrnl"),
        *("rdbss", "classpnp", "sdport", "usbd", "watchdog"),
    }
)

# Drivers of physical device objects. The PDO of a stuck stack belongs to its bus, from where requests are sent:
# a function or filter driver above it holds them.
BUSES = frozenset(
    {
        *("pci", "acpi", "acpiex", "usbhub", "usbhub3", "usbccgp", "umbus", "swenum", "vmbus", "hdaudbus", "isapnp"),
        *("msisadrv", "sdbus", "pciidex", "ataport", "storport", "scsiport", "hidclass", "compositebus", "rdpbus"),
        *("bthport", "volmgr", "partmgr", "disk", "spaceport", "ndis", "nt", "ntoskrnl", "hidusb", "ks"),
    }
)

# The first of these on a stack means that everything below runs in user mode.
USER_MODE = frozenset(
    {
        *("ntdll", "kernel32", "kernelbase", "user32", "win32u", "gdi32", "advapi32", "msvcrt", "ucrtbase", "combase"),
        *("wow64", "wow64cpu", "wow64win", "wow64base", "sechost", "rpcrt4"),
    }
)


def stem(module: str) -> str:
    """A module's name without its extension, lower case: "NETIO.SYS" → "netio"."""
    name = module.lower()
    for ending in (".sys", ".exe", ".dll"):
        if name.endswith(ending):
            return name[: -len(ending)]
    return name


def is_kernel_name(module: str) -> bool:
    """Whether the module is the Windows kernel itself, under any of its names."""
    return stem(module) in KERNEL_NAMES


def strength(module: str) -> Strength:
    """How willingly a module is blamed."""
    name = stem(module)
    if name in NEVER:
        return Strength.NEVER
    if name in WEAK:
        return Strength.WEAK
    return Strength.NAMED if name in NAMED else Strength.CANDIDATE


def is_framework(module: str) -> bool:
    """Whether the module runs code on behalf of client drivers."""
    return stem(module) in FRAMEWORKS


def is_bus(module: str) -> bool:
    """Whether the module is a bus driver: the owner of physical device objects."""
    return stem(module) in BUSES
