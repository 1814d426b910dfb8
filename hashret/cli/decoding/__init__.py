"""What does a person type to see what codes say? Decoding, generating, files of codes."""
