"""What a picture may cost to decode: the same limits for training, and for the graph that serves."""

# How many times fewer pixels are allowed than in a JPEG: other formats are decoded whole, WebP and AVIF into several
# copies; more pixels would take more than 1 GB or 2 s.
_COSTLIER = {"JPEG": 1, "MPO": 1, "WEBP": 4, "AVIF": 4}
_COSTLIER_OTHERS = 2
# A JPEG in several scans passes over all its pixels once per scan. Encoders write about ten; a file of some kilobytes
# may have thousands.
SCAN = b"\xff\xda"
MAX_PASSES = 12
# Most segments, chunks or blocks that are walked through. Cameras and editors write far fewer: a file made of nothing
# but tiny ones must not keep a server busy. Chunks and blocks of one size count as one, up to MAX_RUN of them.
MAX_STEPS = 10_000
MAX_SEGMENTS = 1_000  # of a JPEG before its picture; the orientation is looked for in these
MAX_RUN = 1024


def allowed_pixels(format_name: str, max_pixels: int) -> int:
    """Say how many pixels a picture may have.

    Args:
        format_name: such as "PNG".
        max_pixels: how many a JPEG may have.
    """
    return max_pixels // _COSTLIER.get(format_name, _COSTLIER_OTHERS)
