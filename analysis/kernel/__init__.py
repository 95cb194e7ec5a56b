"""One file for each kernel subject: modules, processes, threads, locks, stacks."""
