"""History: reports, jobs, seen events and threads. Knows the Report and nothing above it."""
