"""More than one process that works: ``pileup worker``, and what brings jobs to it."""
