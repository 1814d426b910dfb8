"""What does a bit of the codes mean, or a hidden unit of the model? By what turns it on."""
