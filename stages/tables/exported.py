"""`data/export/`: what `export` writes, a folder NNN for the version of that number."""

EXPORT = "data/export"
RELEASE = "release.json"  # in NNN/: version, threshold, temperature and the weights' SHA-256
