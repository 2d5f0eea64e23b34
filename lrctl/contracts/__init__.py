"""What a plugin may import: what parts are, and what they are told and give."""
