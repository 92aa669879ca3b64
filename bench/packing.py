"""Measure packing: cold, with 1 % new pictures, with a deleted one, and compacted; next to a plain loop over them all.

    python -m bench.packing PICTURES [--number 3000] [--size 299] [--shard 500] [--rounds 1]

PICTURES is a folder of photographs. The stage `shard` runs as DVC runs it, in a repository of its own. In each case the
same pictures are packed without any memo too, and must give the same bytes; the ratio is to that cold packing. Seconds
are of all processors together, the stage's start (Python, pandas, DVC) included.
"""

import hashlib
import shutil
import sys
import tarfile
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import draw, files_in, in_turn, options, print_table, run, timed
from bench.repository import dvc, read_index, release, repository, stage
from runtime import parameters
from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.shards.codec import encode

MAX_PIXELS = 100_000_000


def draw_pictures(pictures: Path, number: int) -> tuple[list[Path], list[Path]]:
    """Draw pictures, and keep a hundredth of them for later."""
    drawn = draw(files_in(pictures.resolve(), "*"), number)
    few = len(drawn) // 100
    return drawn[few:], drawn[:few]


def add(paths: list[Path]) -> None:
    """Copy pictures into the library, and fingerprint it."""
    Path("data/library/a").mkdir(exist_ok=True)
    for path in paths:
        name = hashlib.sha256(str(path).encode()).hexdigest()
        shutil.copy(path, f"data/library/a/{name}.jpg")
    stage("fingerprint")


def digests() -> dict[str, str]:
    """Digest what was packed."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files_in(Path("data/shards"), "*")}


def pack(**environment: str) -> tuple[float, dict[str, str]]:
    """Pack; returns processor seconds and digests."""
    return stage("shard", **environment).processor, digests()


def pack_cold() -> tuple[float, dict[str, str]]:
    """Pack as on a machine without any memo; returns processor seconds and digests."""
    with TemporaryDirectory() as nothing:
        return pack(RETRAIN_MEMO=nothing)


def pack_in_a_loop(size: int) -> None:
    """Pack in the plainest way, one picture after the other in one process."""
    with tarfile.open("plain.tar", "w") as tar:
        for path in files_in(Path("data/library/a")):
            data = encode(letterbox(decode(path.read_bytes(), MAX_PIXELS).image, size), "webp")
            member = tarfile.TarInfo(path.name)
            member.size = len(data)
            tar.addfile(member, BytesIO(data))


def compare(case: str, rounds: int) -> tuple[str, float, float, float, str]:
    """Pack with and without the memo in turn; returns a row of the table."""
    runs = in_turn({"warm": pack, "cold": pack_cold}, rounds)
    warm, cold = (sum(seconds for seconds, _ in runs[name]) / rounds for name in ("warm", "cold"))
    packed = [shards for of_way in runs.values() for _, shards in of_way]
    assert all(shards == packed[0] for shards in packed)
    return case, warm, cold, warm / cold, "yes"


def introduce(size: int) -> None:
    """Say what is packed, and what that costs without a memo and in a plain loop."""
    cold, _ = pack_cold()
    plain = timed(partial(pack_in_a_loop, size)).processor
    index = read_index()
    num_shards, num_bytes = index["shard"].nunique(), index["size"].sum()
    print(f"{len(index)} pictures of {size} px in {num_shards} shards, {num_bytes / 1e6:.0f} MB")
    start = run(sys.executable, "-c", "import stages.shard, dvc.repo").processor
    print(f"cold: {cold:.1f} s, of which the start {start:.1f} s; a plain loop in one process: {plain:.1f} s\n")


def measure(new: list[Path], rounds: int) -> None:
    """Run all cases and print the table."""
    pack()
    dvc("commit", "--force", "shard")
    index = read_index()
    rows = [compare("nothing new", rounds)]
    add(new)
    rows.append(compare(f"{len(new)} new, no base yet: every shard changes", rounds))
    release(index)
    rows.append(compare(f"{len(new)} new, after a release: one more shard", rounds))
    next(Path("data/library/a").iterdir()).unlink()
    stage("fingerprint")
    rows.append(compare("and one deleted: its shard changes", rounds))
    parameters.change({"shard.compacted": 2})
    rows.append(compare("and compacted", rounds))
    print_table(["case", "seconds", "cold", "ratio", "same bytes"], rows)
    pack()
    seconds = dvc("commit", "--force", "shard").processor
    print(f"\nWhat DVC adds to the last: {seconds:.1f} s to digest and cache what was packed")


def main() -> None:
    """Print the table."""
    asked = options(__doc__, "pictures", number=3000, size=299, shard=500, rounds=1)
    pictures, new = draw_pictures(asked.pictures, asked.number)
    with repository({"picture.side": asked.size, "shard.images": asked.shard}):
        add(pictures)
        introduce(asked.size)
        measure(new, asked.rounds)


if __name__ == "__main__":
    main()
