"""What the stages make of a framed picture: its copy takes its place in the same group; nothing leaks or is lost."""

import pandas as pd
import pytest
from pictures import save

from curation.crop import Crop
from curation.framing import frame_picture
from curation.pictures import Pictures
from curation.state import Desk
from stages import dedup, fingerprint, merge
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.images import IMAGES

pytestmark = pytest.mark.slow


def test_a_copy_is_used_in_the_group_of_its_original_which_is_not(workspace):
    for seed in range(4):
        save(workspace / f"data/library/{'ab'[seed % 2]}/{seed}.png", seed, (120, 90))
    save(workspace / "data/unlabelled/9.png", 9, (120, 90))
    fingerprint.main()
    files = FINGERPRINTS.read().set_index("path")["image_id"]
    original, unlabelled = files["library/a/0.png"], files["unlabelled/9.png"]
    desk = Desk()
    copy = frame_picture(desk, Pictures(), "ann", original, Crop(0, 0, 40, 30, 1), "0" * 12)
    beside = frame_picture(desk, Pictures(), "ann", unlabelled, Crop(60, 0, 120, 90, 0), "1" * 12)
    assert beside.startswith("unlabelled/9-framed-")
    fingerprint.main()
    dedup.main()
    merge.main()
    assert beside in FINGERPRINTS.read()["path"].tolist()
    images = IMAGES.read().set_index("path")
    assert images.loc["library/a/0.png", "dropped"] == "removed by a decision"
    assert pd.isna(images.loc[copy, "dropped"])
    assert images.loc[copy, "sub_class"] == "a"
    assert images.loc[copy, "group"] == images.loc["library/a/0.png", "group"]
    others = images.drop([copy, "library/a/0.png"])
    assert others["dropped"].isna().all()
    assert images.loc[copy, "group"] not in set(others["group"])
