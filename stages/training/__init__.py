"""One training run: what it starts from, its batches, devices, steps and checkpoints."""
