"""Names and layouts: built-in tables, ISF files, exports."""
