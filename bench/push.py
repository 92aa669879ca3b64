"""Measure `dvc push` and `dvc pull` of shards next to the same pictures as single files, over Azurite.

    python -m bench.push PICTURES [--number 3000] [--size 299] [--shard 1000]

PICTURES is a folder of photographs; `make test` has installed Azurite. The pictures are packed as
the pipeline does, then the shards' members are written out as single files; both go to containers of their own and
come back to an empty cache. Then a hundredth is added after a release, and what a second push sends is compared with
the bytes of the new pictures' shard. Objects and bytes are counted where they arrived; seconds are by the clock.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from azure.storage.blob import BlobServiceClient

from bench.harness import options, print_table
from bench.packing import add, draw_pictures
from bench.repository import dvc, read_index, release, repository, stage
from tests.azurite import Azurite

FOLDERS = ("shards", "single")


def arrived(service: BlobServiceClient, container: str) -> tuple[int, int]:
    """Count what a container holds; returns objects and bytes."""
    sizes = [blob.size for blob in service.get_container_client(container).list_blobs()]
    return len(sizes), sum(sizes)


def write_singles(index: pd.DataFrame, folder: Path) -> None:
    """Write the members of shards as single files, those that are not there yet."""
    folder.mkdir(exist_ok=True)
    for shard, rows in index.groupby("shard"):
        data = Path("data/shards", str(shard)).read_bytes()
        for image_id, offset, size in zip(rows["image_id"], rows["offset"], rows["size"], strict=True):
            (folder / f"{image_id}.webp").write_bytes(data[offset : offset + size])


def push(service: BlobServiceClient, container: str) -> tuple[float, int, int]:
    """Put a folder under DVC and push it; returns seconds, and the objects and bytes that came to be there."""
    dvc("add", "--quiet", f"data/{container}")
    objects, size = arrived(service, container)
    seconds = dvc("push", "--quiet", "--remote", container, f"data/{container}.dvc").clock
    now = arrived(service, container)
    return seconds, now[0] - objects, now[1] - size


def pull(container: str) -> float:
    """Pull a folder to an empty cache; returns seconds."""
    shutil.rmtree(".dvc/cache")
    shutil.rmtree(f"data/{container}")
    return dvc("pull", "--quiet", "--remote", container, f"data/{container}.dvc").clock


def pack() -> pd.DataFrame:
    """Pack, and write the single files; returns the shards' index."""
    stage("shard")
    index = read_index()
    write_singles(index, Path("data/single"))
    return index


def measure_all(service: BlobServiceClient) -> pd.DataFrame:
    """Push and pull everything; returns the shards' index."""
    index = pack()
    Path("dvc.yaml").unlink()  # from here on the folders are under DVC by themselves
    print(f"{len(index)} pictures, {index['size'].sum() / 1e6:.1f} MB\n")
    rows = []
    for name in FOLDERS:
        seconds, objects, size = push(service, name)
        rows.append((name, objects, size / 1e6, seconds, pull(name)))
    print_table(["", "objects", "MB", "push s", "pull s"], rows)
    return index


def measure_new(service: BlobServiceClient, new: list[Path]) -> None:
    """Push what comes of a few new pictures."""
    add(new)
    index = pack()
    newest = Path("data/shards", str(index["shard"].max())).stat().st_size
    print(f"\n{len(new)} pictures more, whose shard has {newest / 1e6:.2f} MB\n")
    rows = []
    for name in FOLDERS:
        seconds, objects, size = push(service, name)
        rows.append((name, objects, size / 1e6, size / newest, seconds))
    print_table(["", "objects", "MB", "times the shard's", "push s"], rows)


def main() -> None:
    """Print the tables."""
    asked = options(__doc__, "pictures", number=3000, size=299, shard=1000)
    pictures, new = draw_pictures(asked.pictures, asked.number)
    with (
        TemporaryDirectory() as data,
        repository({"picture.side": asked.size, "shard.images": asked.shard}),
        Azurite(Path(data)) as azurite,
    ):
        add(pictures)
        service = azurite.service()
        for name in FOLDERS:
            service.create_container(name)
            dvc("remote", "add", name, f"azure://{name}")
            dvc("remote", "modify", "--local", name, "connection_string", azurite.connection())
        release(measure_all(service))
        measure_new(service, new)


if __name__ == "__main__":
    main()
