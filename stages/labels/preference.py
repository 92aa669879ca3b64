"""Which of several pictures that show the same thing is the best one to keep, as far as the files tell."""

from collections.abc import Collection

import pandas as pd

# The most colourful hundredth of a grey picture's pixels has less chroma: some decoders of WebP are off by a step.
_GREY = 4 / 255
# Bytes per pixel compare within a format only. A picture without loss comes first: it may be the original of one with
# loss, and is never worse. Cameras write JPEG; websites make WebP and AVIF of it, and a GIF has but 256 colours.
_FORMATS = {"PNG": 0, "BMP": 0, "TIFF": 0, "JPEG": 1, "MPO": 1, "WEBP": 2, "AVIF": 3, "GIF": 4}
_LOSSLESS = 0


def preference(fingerprints: pd.DataFrame, trained: Collection[str]) -> pd.Series:
    """Rank files by how well they show what they show.

    More pixels come first, then colour before grey, then what is less compressed (see _FORMATS), then what the base was
    trained on, then the smaller image_id. No file's place before another depends on a third.

    Args:
        fingerprints: the table of that name.
        trained: image_ids that the base or an ancestor of it was trained on.

    Returns:
        Whole numbers, the best file's first, with the index of `fingerprints`.
    """
    pixels = (fingerprints["width"] * fingerprints["height"]).astype("Float64")
    formats = fingerprints["format"].map(_FORMATS)
    keys = pd.DataFrame(
        {
            "fewer_pixels": -pixels,
            "grey": ~(fingerprints["chroma"] >= _GREY),
            "format": formats,
            # How hard a format without loss packs says nothing about the picture.
            "compressed": (-fingerprints["bytes"] / pixels).mask(formats == _LOSSLESS, 0),
            "new": ~fingerprints["image_id"].isin(trained),
            "image_id": fingerprints["image_id"],
            "path": fingerprints["path"],
        }
    )
    order = keys.sort_values(list(keys.columns), na_position="last").index
    return pd.Series(range(len(order)), index=order).reindex(fingerprints.index)
