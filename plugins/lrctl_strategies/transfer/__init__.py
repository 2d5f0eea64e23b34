"""The peak LR of a long run from short ones."""
