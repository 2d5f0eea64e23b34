"""The store: jobs, losses, checkpoints and runs on disk."""
