"""What if the codes changed, or only some are meant? Indexes kept through changes, and subsets."""
