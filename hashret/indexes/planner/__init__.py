"""Which exact index answers this question soonest? Estimates first, then the clock."""
