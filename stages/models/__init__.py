"""Models: architectures by name, warm start, the files of a model."""
