"""Bytes to a DumpImage: one file for each kind of dump, behind an ordered sniff table."""
