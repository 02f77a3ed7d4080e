"""Material symmetry: point groups, infinite groups, their invariants."""
