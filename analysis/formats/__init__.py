"""Bytes to a DumpImage: every dump kind behind one sniff table."""

from analysis.formats.header import capture_hint
from analysis.formats.image import (
    DataBlock,
    DumpHeader,
    DumpImage,
    ExceptionRecord,
    PageMap,
    TriageData,
    TriageDriver,
    TriageUnloaded,
)
from analysis.formats.opening import open_dump
from analysis.formats.raw import RawFile
from analysis.formats.remote import RemotePages

__all__ = [
    "DataBlock",
    "DumpHeader",
    "DumpImage",
    "ExceptionRecord",
    "PageMap",
    "RawFile",
    "RemotePages",
    "TriageData",
    "TriageDriver",
    "TriageUnloaded",
    "capture_hint",
    "open_dump",
]
