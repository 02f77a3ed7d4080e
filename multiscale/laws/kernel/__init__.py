"""Laws in C: one source for all (multiscale.laws.kernel.library), and the block of parameters that makes it one law's."""
