"""The built-in sample library: the same bytes on any machine, from data that scikit-learn brings."""
