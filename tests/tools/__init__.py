"""Tools of the developers: what makes committed data from public sources."""
