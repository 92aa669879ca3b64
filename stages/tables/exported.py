"""`data/export/`: what `export` writes, a folder NNN for the version of that number."""

EXPORT = "data/export"
ONNX = "model.onnx"  # in NNN/: `pixels`, as shards have them, to `scores`, `in_scope`, `scope_distance`
RELEASE = "release.json"  # in NNN/: version, threshold, scaling, scope_limit and the weights' SHA-256
