"""What becomes of a trained model: it is tried, promoted and published, and the next cycle starts from it."""
