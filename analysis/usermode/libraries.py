"""Which modules of a process are the system's own: they carry the calls of others and are not blamed.

A name alone does not do: programs ship copies of the C runtime, and other makers put libraries into Windows' folders.
So three things speak for a system library: a name of this table, or a path below Windows' folder together with a file
version of that very Windows (10.0.19041.804 on a 10.0), or one of the folders of a Unix.
"""

from analysis.formats.minidump import Platform, UserDump, UserModule
from analysis.verdict.modules import USER_MODE, stem

# Windows' own, and runtimes that raise the errors of their callers.
SYSTEM = USER_MODE | frozenset(
    {
        *("comctl32", "comdlg32", "shell32", "shlwapi", "ole32", "oleaut32", "imm32", "msctf", "uxtheme", "dwmapi"),
        *("ws2_32", "mswsock", "wininet", "winhttp", "crypt32", "bcrypt", "bcryptprimitives", "ncrypt", "secur32"),
        *(
            "verifier",
            "apphelp",
            "dbghelp",
            "dbgcore",
            "version",
            "winmm",
            "setupapi",
            "cfgmgr32",
            "userenv",
            "gdi32full",
        ),
        *("cryptbase", "clbcatq", "psapi", "iphlpapi", "dnsapi", "netapi32", "powrprof", "profapi", "shcore", "usp10"),
        *("d3d9", "d3d11", "d3d12", "dxgi", "dcomp", "gdiplus", "windowscodecs", "mscoree", "clr", "coreclr", "lpk"),
        *("mscorwks", "clrjit", "hostfxr", "hostpolicy", "msvcp_win", "wow64", "coremessaging", "kernel.appcore"),
        *("propsys", "urlmon", "normaliz", "wldap32", "wintrust", "msasn1", "sspicli", "ntmarta", "windows.storage"),
    }
)
RUNTIMES = ("msvcr", "msvcp", "vcruntime", "ucrtbase", "concrt", "mfc", "atl1", "api-ms-win-", "ext-ms-win-")
# Where the runtimes raise what their caller did: no fault is theirs, but a bucket names them.
CORE = frozenset({"ntdll", "kernel32", "kernelbase", "user32", "win32u", "wow64", "wow64cpu"})

_UNIX = ("/lib", "/usr/lib", "/System/", "/system/", "/apex/", "/usr/share/")
_UNIX_NAMES = ("libc", "libpthread", "libstdc++", "libm", "ld", "linux-gate", "linux-vdso", "libgcc_s")


def is_system(module: UserModule, dump: UserDump) -> bool:
    """Whether a module belongs to the system or to a language's runtime rather than to the program."""
    if dump.system.platform is not Platform.WINDOWS:
        return _is_unix(module)
    name = stem(module.name)
    if name in SYSTEM or name.startswith(RUNTIMES):
        return True
    path = module.path.replace("/", "\\").lower()
    if "\\windows\\" not in path or "\\driverstore\\" in path or module.version is None:
        return False
    return module.version.startswith(f"{dump.system.major}.{dump.system.minor}.")


def is_core(name: str) -> bool:
    """Whether a module is so deep in Windows that a bucket never names it for a fault."""
    return stem(name) in CORE


def _is_unix(module: UserModule) -> bool:
    plain = module.path.rpartition("/")[2].partition(".so")[0]
    return module.path.startswith(_UNIX) or plain in _UNIX_NAMES or plain.partition("-")[0] in _UNIX_NAMES
