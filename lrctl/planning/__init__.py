"""What a search would take, without training."""
