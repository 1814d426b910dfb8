"""What if codes changed, or only some are searched? Indexes kept through changes, and subsets."""
