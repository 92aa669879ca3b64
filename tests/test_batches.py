import threading

import numpy as np
import pytest
from worlds import Shards

from runtime.errors import InputError
from stages.shards import batches as module
from stages.shards.batches import Pictures, batches, require
from stages.shards.decoded import DecodedPictures

pytestmark = pytest.mark.slow

SEVEN = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3), np.uint8)


@pytest.mark.parametrize("codec", ["webp", "png"])
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_batches_come_in_the_order_asked_for_however_many_threads_decode(monkeypatch, codec, num_threads):
    monkeypatch.setattr(module, "num_cores", lambda: num_threads)
    results = list(batches(Pictures(Shards(SEVEN, codec), 4), ["5", "0", "6", "1", "1", "2", "3"], 2))
    assert [len(pictures) for pictures in results] == [2, 2, 2, 1]
    assert np.array_equal(np.concatenate(results), SEVEN[[5, 0, 6, 1, 1, 2, 3]])


def test_of_no_picture_there_is_no_batch():
    assert list(batches(Pictures(Shards([]), 4), [], 2)) == []


def test_two_batches_are_decoded_ahead_and_no_more():
    shards = Shards(SEVEN)
    ahead = batches(Pictures(shards, 4), [str(number) for number in range(7)], 1)
    next(ahead)
    ahead.close()
    assert shards.num_read == 3
    assert not [thread for thread in threading.enumerate() if "ThreadPoolExecutor" in thread.name]


def test_what_was_decoded_once_is_not_read_from_the_shards_again(tmp_path):
    shards, image_ids = Shards(SEVEN), [str(number) for number in range(7)]
    with DecodedPictures(image_ids, 4 * 4 * 3, tmp_path) as decoded:
        pictures = Pictures(shards, 4, decoded)
        for order in (image_ids[:5], image_ids[::-1], image_ids):
            assert np.array_equal(np.concatenate(list(batches(pictures, order, 3))), SEVEN[[int(i) for i in order]])
    assert shards.num_read == 7


def test_pictures_that_are_in_no_shard_or_of_another_size_are_refused():
    shards = Shards([np.zeros((2, 2, 3), np.uint8)])
    require(Pictures(shards, 2), ["0"])
    require(Pictures(shards, 2), [])
    with pytest.raises(InputError, match="2 of 3 pictures are in no shard, the first is 1: `dvc repro shard`"):
        require(Pictures(shards, 2), ["0", "1", "2"])
    with pytest.raises(InputError, match="are 2 pixels wide, the network takes 32"):
        require(Pictures(shards, 32), ["0"])


@pytest.mark.parametrize("codec", ["webp", "png"])
def test_a_damaged_picture_is_named(codec):
    shards = Shards(SEVEN, codec)
    shards.encoded_pictures[3] = shards.encoded_pictures[3][:-20]
    with pytest.raises(InputError, match=r"the picture 3 cannot be decoded .*`dvc checkout data/shards` brings back"):
        list(batches(Pictures(shards, 4), ["0", "3"], 2))
