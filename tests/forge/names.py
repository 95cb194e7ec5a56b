"""Names from which machines are made: Windows' own drivers, third-party drivers, processes."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MICROSOFT_DRIVERS = _words("""
hal.dll kdcom.dll CLFS.SYS tm.sys CI.dll msrpc.sys ksecdd.sys werkernel.sys cng.sys Wdf01000.sys WDFLDR.SYS
acpiex.sys ACPI.sys WMILIB.SYS msisadrv.sys pci.sys vdrvroot.sys partmgr.sys volmgr.sys volmgrx.sys mountmgr.sys
storahci.sys storport.sys fltmgr.sys fileinfo.sys Ntfs.sys NETIO.SYS ndis.sys tcpip.sys fwpkclnt.sys rdyboost.sys
disk.sys CLASSPNP.SYS dxgkrnl.sys afd.sys netbt.sys USBXHCI.SYS ucx01000.sys UsbHub3.sys HIDCLASS.SYS kbdhid.sys
kbdclass.sys mouclass.sys HDAudBus.sys portcls.sys win32k.sys win32kfull.sys ndiswan.sys
""")
THIRD_PARTY = (  # driver, company, service, instance path
    ("zvnetflt.sys", "Zephyr Networks GmbH", "ZvNetFlt", "ROOT\\ZVNETFLT\\0000"),
    ("kestrelav.sys", "Kestrel Security Ltd", "KestrelAv", "ROOT\\LEGACY_KESTRELAV\\0000"),
    ("qbusenum.sys", "Quillbus Instruments", "QBusEnum", "USB\\VID_1D6B&PID_0104\\6&2A91C0F&0&3"),
    ("novastor3.sys", "Nova Storage Inc.", "NovaStor3", "PCI\\VEN_1B4B&DEV_9230&SUBSYS_92301B4B&REV_10\\4&17C5"),
    ("tapwirex.sys", "Wirex Project", "tapwirex", "ROOT\\NET\\0002"),
    ("halcyonusb.sys", "Halcyon Devices", "HalcyonUsb", "USB\\VID_0BDA&PID_8152\\00E04C680001"),
    ("merlinvpn.sys", "Merlin Tunnel AG", "MerlinVpn", "SWD\\MERLINVPN\\{7B3C0D52-13A4-4F13-9E61-0F0E9A31B6C2}"),
    ("obsidfs.sys", "Obsidian Filesystems", "ObsidFs", "ROOT\\OBSIDFS\\0000"),
)
STORY = ("rassstp.sys", "Microsoft Corporation", "RasSstp", "SWD\\MSRRAS\\MS_SSTPMINIPORT")
UNLOADED = _words(
    "dump_storport.sys dump_storahci.sys dump_dumpfve.sys hwpolicy.sys EhStorClass.sys dam.sys WdBoot.sys"
)

PROCESSES = (  # name, parent, threads
    ("smss.exe", "System", 2),
    ("csrss.exe", "smss.exe", 8),
    ("wininit.exe", "smss.exe", 3),
    ("csrss.exe", "smss.exe", 9),
    ("services.exe", "wininit.exe", 6),
    ("lsass.exe", "wininit.exe", 7),
    ("winlogon.exe", "smss.exe", 3),
    ("svchost.exe", "services.exe", 8),
    ("svchost.exe", "services.exe", 6),
    ("dwm.exe", "winlogon.exe", 5),
    ("svchost.exe", "services.exe", 7),
    ("svchost.exe", "services.exe", 5),
    ("spoolsv.exe", "services.exe", 5),
    ("svchost.exe", "services.exe", 4),
    ("MsMpEng.exe", "services.exe", 6),
    ("explorer.exe", "winlogon.exe", 14),
    ("SearchIndexer.exe", "services.exe", 5),
    ("chrome.exe", "explorer.exe", 8),
    ("notepad.exe", "explorer.exe", 2),
)
SYSTEM_THREADS = 34
# Processes a seed may put in the story in the place of those that the first story has.
OTHER_WAITERS = ("svchost.exe", "services.exe", "spoolsv.exe", "explorer.exe", "MsMpEng.exe", "lsass.exe")
