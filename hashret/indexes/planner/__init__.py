"""Which exact index answers this question fastest? Estimates decide first, measured times later."""
