"""What does a person type to see which items are unlike the rest? A verb, an option of `index`."""
