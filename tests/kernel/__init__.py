"""The kernel readers, on memory built in each test."""
