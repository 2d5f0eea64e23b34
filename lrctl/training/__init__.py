"""One job: the training loop, and what it stands on."""
