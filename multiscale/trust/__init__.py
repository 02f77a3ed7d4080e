"""Where a law holds: domain, error bars, ellipticity, limits."""
