"""`data/fingerprints.parquet`: one row per file of the library, the benchmarks and the unlabelled pictures."""

import pyarrow as pa

from stages.tables.table import Table

FINGERPRINTS = Table(
    path="data/fingerprints.parquet",
    schema=pa.schema(
        {
            "path": pa.string(),  # relative to data/
            "image_id": pa.string(),  # MD5 of the file's bytes
            "bytes": pa.int64(),
            "width": pa.int64(),  # of the upright picture, like everything below; null where it cannot be read
            "height": pa.int64(),
            "format": pa.string(),
            "phash": pa.uint64(),
            "sharpness": pa.float64(),  # low for a blurred picture, null for a plain one
            "brightness": pa.float64(),  # mean grey, 0 to 1
            "highlights": pa.float64(),  # grey that the lightest twentieth reach, 0 to 1; low for a dark picture
            "contrast": pa.float64(),  # range of the middle 96 % of the greys, 0 to 1
            "chroma": pa.float64(),  # that the most colourful hundredth reach, 0 to 1; 0 for a grey picture
            "is_damaged": pa.bool_(),  # a JPEG that libjpeg warns of: a part of it may be missing, and filled in
            "pixels": pa.string(),  # digest of the upright pixels: equal for pictures that differ only as files
            "thumbnail": pa.binary(
                1408
            ),  # what it looks like in small, as `stages/duplicates/thumbnail.py` lays it out
            "taken_at": pa.timestamp("ms"),  # from EXIF, by the camera's clock, which knows no time zone; often null
            "camera": pa.string(),  # from EXIF: maker, model and serial number; often null
            "error": pa.string(),  # why it cannot be read, else null
        }
    ),
    key=("path",),
    order=("path",),
    stage="fingerprint",
)
