"""What a code and its parameters mean: one file for each family, one explicit table."""
