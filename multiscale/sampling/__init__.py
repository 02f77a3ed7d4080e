"""Which strains to compute, and the relaxed states at 0 K."""
