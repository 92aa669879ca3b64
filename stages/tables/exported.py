"""`data/export/`: what `export` writes, a folder NNN for the version of that number."""

EXPORT = "data/export"
ONNX = "model.onnx"  # in NNN/: `pixels`, shape (n, side, side, 3), uint8, as shards have them, to `scores`
RELEASE = "release.json"  # in NNN/: version, threshold, scaling and the weights' SHA-256
