"""The built-in sample library: the same bytes on any machine, from data that scikit-learn brings."""

LIBRARY_DIGEST = (
    "09ee342bd602d3abe69b62c1eb5c2ca9.dir"  # of data/library, as DVC has it: whether a clone has the sample
)
