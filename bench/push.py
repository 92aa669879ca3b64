"""Measure `dvc push` and `dvc pull` of shards beside the same pictures as single files, over Azurite.

    python -m bench.push PICTURES [--number 3000] [--size 299] [--shard 1000]

PICTURES is a folder of photographs; `make test` has installed Azurite. The pictures are packed as
the pipeline does, then the shards' members are written out as single files; both go to containers of their own and
come back to an empty cache. Then a hundredth is added after a release, and what a second push sends is compared with
the bytes of the new pictures' shard. Objects and bytes are counted where they arrived; seconds are by the clock.
"""

import argparse
import contextlib
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from azure.storage.blob import BlobServiceClient

from bench.packing import add, dvc, make_repository, release, stage
from tests.azurite import Azurite


def clock(*arguments: str) -> float:
    """Run DVC; returns seconds by the clock."""
    started = time.perf_counter()
    dvc(*arguments)
    return time.perf_counter() - started


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
    seconds = clock("push", "--quiet", "--remote", container, f"data/{container}.dvc")
    now = arrived(service, container)
    return seconds, now[0] - objects, now[1] - size


def pull(container: str) -> float:
    """Pull a folder to an empty cache; returns seconds."""
    shutil.rmtree(".dvc/cache")
    shutil.rmtree(f"data/{container}")
    return clock("pull", "--quiet", "--remote", container, f"data/{container}.dvc")


def measure(connection: str, new: list[Path]) -> None:
    """Run all cases and print the tables."""
    service = BlobServiceClient.from_connection_string(connection)
    for name in ("shards", "single"):
        service.create_container(name)
        dvc("remote", "add", name, f"azure://{name}")
        dvc("remote", "modify", "--local", name, "connection_string", connection)
    stage("shard")
    Path("dvc.yaml").unlink()  # from here on the folders are under DVC by themselves
    index = pd.read_parquet("data/shards/index.parquet")
    write_singles(index, Path("data/single"))
    print(f"{len(index)} pictures, {index['size'].sum() / 1e6:.1f} MB\n")
    print("| | objects | MB | push s | pull s |\n| --- | ---: | ---: | ---: | ---: |")
    for name in ("shards", "single"):
        seconds, objects, size = push(service, name)
        print(f"| {name} | {objects} | {size / 1e6:.1f} | {seconds:.1f} | {pull(name):.1f} |")
    release(1, index)
    add(new)
    stage("shard")
    index = pd.read_parquet("data/shards/index.parquet")
    write_singles(index, Path("data/single"))
    newest = Path("data/shards", str(index["shard"].max())).stat().st_size
    print(f"\n{len(new)} pictures more, whose shard has {newest / 1e6:.2f} MB\n")
    print("| | objects | MB | times the shard's | push s |\n| --- | ---: | ---: | ---: | ---: |")
    for name in ("shards", "single"):
        seconds, objects, size = push(service, name)
        print(f"| {name} | {objects} | {size / 1e6:.2f} | {size / newest:.2f} | {seconds:.1f} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--number", type=int, default=3000)
    parser.add_argument("--size", type=int, default=299)
    parser.add_argument("--shard", type=int, default=1000)
    arguments = parser.parse_args()
    pictures = arguments.pictures.resolve()
    with TemporaryDirectory() as server, TemporaryDirectory() as folder, contextlib.chdir(folder):
        new = make_repository(pictures, arguments.number, arguments.size, arguments.shard)
        with Azurite(Path(server)) as azurite:
            measure(azurite.connection(), new)


if __name__ == "__main__":
    main()
