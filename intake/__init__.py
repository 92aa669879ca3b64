"""Pictures that come in: a library that is taken over."""
