"""How the installation does, for those who look after it: a page and the same as JSON."""
