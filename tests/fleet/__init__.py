"""Several machines in one: hosts as network namespaces on a bridge, with a database, a bot and workers on them."""
