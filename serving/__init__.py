"""What becomes of a trained model: it is promoted, and the next cycle starts from it."""
