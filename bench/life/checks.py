"""Check from outside what a week left: this module imports nothing of the product, and reads files alone.

Each check returns problems, one line per problem; none is good.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from PIL import Image
from sklearn.metrics import f1_score

# MD5 of each file by its path relative to data/.
Listing = Mapping[str, str]
FOLDERS = ("library", "benchmarks", "unlabelled", "base")
PICTURES = FOLDERS[:3]
EPS = float(np.finfo(np.float32).eps)
EMPTY = "d751713988987e9331980363e24189ce.dir"


class Splits(NamedTuple):
    """What a commit had, to compare the next with: parameters and base, class and side by picture.

    `files` are the pictures of each class, dropped ones included: one may show the same as a picture that is used.
    """

    conditions: str
    files: set[tuple[str, str]]
    classes: dict[str, str]
    sides: dict[str, tuple[str, str]]


def merged(base: Listing, ours: Listing, theirs: Listing, prefer_ours: bool = False) -> dict[str, str]:
    """Merge two listings path by path; where both changed a path, ours counts if it is preferred.

    Raises:
        ValueError: both changed a path, each in another way.
    """
    result = {}
    for path in sorted({*base, *ours, *theirs}):
        changed_here, changed_there = (side.get(path) != base.get(path) for side in (ours, theirs))
        if changed_here and changed_there and ours.get(path) != theirs.get(path) and not prefer_ours:
            raise ValueError(f"both changed {path}")
        digest = ours.get(path) if changed_here else theirs.get(path)
        if digest is not None:
            result[path] = digest
    return result


def md5(content: bytes) -> str:
    """Digest bytes."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def on_disk(data: Path) -> dict[str, str]:
    """List the pictures that lie in a clone's data/."""
    files = (path for name in PICTURES for path in (data / name).rglob("*") if path.is_file())
    return {str(path.relative_to(data)): md5(path.read_bytes()) for path in sorted(files)}


class Objects:
    """What the DVC remote and, if it is asked, a clone's cache hold."""

    def __init__(self, *stores: Path) -> None:
        self._stores = [store / "files/md5" for store in stores]

    def read(self, digest: str) -> bytes | None:
        """Read an object; None where no store has it."""
        for store in self._stores:
            path = store / digest[:2] / digest[2:]
            if path.is_file():
                return path.read_bytes()
        return None

    def listing(self, digest: str) -> dict[str, str]:
        """Read the list of a folder."""
        content = b"[]" if digest == EMPTY else self.read(digest)
        return {entry["relpath"]: entry["md5"] for entry in json.loads(content or b"[]")}

    def problems(self, named: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Check that objects are there whole, those that a list names too."""
        for what, digest in named:
            content = self.read(digest)
            if content is None:
                yield from [] if digest == EMPTY else [f"{what} ({digest}) is nowhere"]
            elif md5(content) != digest.removesuffix(".dir"):
                yield f"{what} ({digest}) is damaged"
            elif digest.endswith(".dir"):
                yield from self.problems((f"{what}/{path}", each) for path, each in self.listing(digest).items())


def tracked(show: Callable[[str], str]) -> dict[str, str]:
    """Map each path that a commit keeps under DVC to its digest; `show` gives a file of the commit as text."""
    files = {f"data/{name}": yaml.safe_load(show(f"data/{name}.dvc"))["outs"][0]["md5"] for name in FOLDERS}
    return files | {out["path"]: out["md5"] for out in outs(yaml.safe_load(show("dvc.lock"))) if "md5" in out}


def outs(lock: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the outputs of all stages of a dvc.lock."""
    return [out for stage in lock["stages"].values() for out in stage.get("outs", [])]


def check_pictures(clone: Path, expected: Listing) -> Iterator[str]:
    """Check that a clone holds exactly the pictures that its people put there."""
    yield from _differences("data", on_disk(clone / "data"), expected)


def check_commit(named: Mapping[str, str], remote: Objects, cached: set[str], expected: Listing) -> Iterator[str]:
    """Check that a commit names the pictures that are expected, and that the remote has all that it names.

    Args:
        named: what `tracked` returned.
        remote: it.
        cached: paths that Git keeps and not DVC.
        expected: the pictures.
    """
    listing = {
        f"{name}/{path}": md5 for name in PICTURES for path, md5 in remote.listing(named[f"data/{name}"]).items()
    }
    yield from _differences("the commit", listing, expected)
    yield from remote.problems((path, digest) for path, digest in sorted(named.items()) if path not in cached)


def check_tidy(clone: Path, status: str, remote: Path) -> Iterator[str]:
    """Check that nothing lies about: no changes, nothing half-written, no temporary files on the remote."""
    yield from (f"git shows {line!r}" for line in status.splitlines())
    yield from (f"{path.relative_to(clone)} lies about" for path in clone.rglob("*.partial"))
    for path in remote.rglob("*"):
        name = f"{path.parent.name}{path.name}".removesuffix(".dir")
        if path.is_file() and not (len(name) == 32 and set(name) <= set("0123456789abcdef")):
            yield f"the remote holds {path.relative_to(remote)}"


def check_lock(clone: Path, whole: bool) -> Iterator[str]:
    """Check that dvc.lock names the files that lie there, and that stages read what others wrote.

    Args:
        clone: its root.
        whole: every stage was run, so that none may be older than what it reads.
    """
    lock = yaml.safe_load((clone / "dvc.lock").read_text(encoding="utf-8"))
    written = {out["path"]: out["md5"] for out in outs(lock)}
    for path, digest in written.items():
        if (found := _digest(clone / path)) != digest:
            yield f"dvc.lock says {digest} of {path}, which is {found}"
    for name, stage in lock["stages"].items():
        for dep in stage.get("deps", []):
            if whole and written.get(dep["path"], dep["md5"]) != dep["md5"]:
                yield f"{name} read another {dep['path']} than lies there"


def check_fingerprints(clone: Path, expected: Listing, contents: Mapping[str, bytes]) -> Iterator[str]:
    """Check that every file has its row, and that every picture lies in one shard as it is."""
    rows = pd.read_parquet(clone / "data/fingerprints.parquet")
    visible = {path: digest for path, digest in expected.items() if "/." not in path}
    yield from _differences("fingerprints", dict(zip(rows["path"], rows["image_id"], strict=True)), visible)
    readable = {digest for digest in visible.values() if _is_whole(contents[digest])}
    known = set(rows.loc[rows["error"].isna(), "image_id"])
    yield from (f"{digest} cannot be read, says fingerprint" for digest in sorted(readable - known))
    yield from (f"{digest} can be read, says fingerprint" for digest in sorted(known - readable))


def check_shards(clone: Path, contents: Mapping[str, bytes]) -> Iterator[str]:
    """Check that each readable picture lies in one shard, at the place that the index names, with its own pixels."""
    rows = pd.read_parquet(clone / "data/fingerprints.parquet")
    index = pd.read_parquet(clone / "data/shards/index.parquet")
    readable = sorted(rows.loc[rows["error"].isna(), "image_id"].unique())
    if sorted(index["image_id"]) != readable:
        yield f"shards hold {len(index)} pictures and not the {len(readable)} that can be read"
    if (names := {path.name for path in (clone / "data/shards").glob("*.tar")}) != set(index["shard"]):
        yield f"the index names {sorted(set(index['shard']))}, and there are {sorted(names)}"
    for name, expected in index.groupby("shard"):
        yield from _check_shard(clone / "data/shards" / str(name), expected, contents)


def _check_shard(path: Path, index: pd.DataFrame, contents: Mapping[str, bytes]) -> Iterator[str]:
    with tarfile.open(path) as tar:
        members = {member.name.partition(".")[0]: member for member in tar.getmembers()}
        if set(members) != set(index["image_id"]):
            yield f"{path.name} does not hold what the index says"
            return
        for row in index.itertuples():
            member = members[str(row.image_id)]
            if (member.offset_data, member.size) != (row.offset, row.size):
                yield f"{path.name}: {row.image_id} lies elsewhere than the index says"
            stream = tar.extractfile(member)
            assert stream is not None
            prepared, own = (
                np.asarray(Image.open(io.BytesIO(each)).convert("RGB"))
                for each in (stream.read(), contents[str(row.image_id)])
            )
            if contents[str(row.image_id)][:2] != b"\xff\xd8" and not np.array_equal(prepared, own):
                yield f"{path.name}: {row.image_id} has other pixels than its file"


def check_decisions(clone: Path) -> Iterator[str]:
    """Check that the decision about a picture is obeyed, where there is one alone."""
    images = pd.read_parquet(clone / "data/images.parquet")
    said = pd.concat([pd.read_csv(path, dtype=str) for path in sorted((clone / "data/decisions").glob("*.csv"))])
    said = said[~said["image_id"].duplicated(keep=False) & said["decision"].isin(["remove", "relabel"])]
    for row in said.merge(images[images["set"] == "library"], on="image_id").itertuples():
        if row.decision == "remove" and pd.isna(row.dropped):
            yield f"{row.path} was removed by a decision, and is used"
        if row.decision == "relabel" and row.sub_class != row.value:
            yield f"{row.path} was relabelled {row.value}, and is {row.sub_class}"


def check_splits(clone: Path, same: Iterable[tuple[str, str]], expected: Listing) -> Iterator[str]:
    """Check that no picture, and no two that show the same, are on two sides, and that the base's do not judge."""
    splits = pd.read_parquet(clone / "data/splits.parquet")
    if absent := set(splits["image_id"]) - set(expected.values()):
        yield f"{len(absent)} pictures are in splits.parquet and nowhere else"
    library = splits[splits["split"].isin(["train", "validation", "test"])]
    yield from (f"{each} is on two sides" for each in library.loc[library["image_id"].duplicated(), "image_id"])
    sides = splits.groupby("image_id")["split"].agg(set).to_dict()
    for a, b in same:
        if len(both := sides.get(a, set()) | sides.get(b, set())) > 1 and both & {"train", "validation", "test"}:
            yield f"{a} and {b} show the same and are on two sides: {sorted(both)}"
    trained = _trained(clone / "data/base")
    trained |= {each for pair in same if trained & set(pair) for each in pair}
    for image_id in sorted(trained & set(splits.loc[splits["split"] != "train", "image_id"])):
        yield f"{image_id} judges, and the base was trained on it or what shows the same"


def _trained(folder: Path) -> set[str]:
    path = folder / "model/lineage.parquet"
    return set(pd.read_parquet(path)["image_id"]) if path.is_file() else set()


def read_splits(clone: Path) -> Splits:
    """Read what to compare the next commit's split with."""
    params = yaml.safe_load((clone / "params.yaml").read_text(encoding="utf-8"))
    version = clone / "data/base/version.json"
    base = version.read_text(encoding="utf-8") if version.is_file() else ""
    images = pd.read_parquet(clone / "data/images.parquet")
    images = images[images["set"] == "library"]
    kept = images[images["dropped"].isna()]
    splits = pd.read_parquet(clone / "data/splits.parquet")
    splits = splits[splits["split"].isin(["train", "validation", "test"])]
    sides = zip(splits["class_name"], splits["split"], strict=True)
    return Splits(
        json.dumps([params["split"], params["dedup"], base]),
        set(zip(images["class_name"], images["image_id"], strict=True)),
        dict(zip(kept["image_id"], kept["class_name"], strict=True)),
        dict(zip(splits["image_id"], sides, strict=True)),
    )


def check_stable(before: Splits, after: Splits) -> Iterator[str]:
    """Check that of pictures that nobody touched at most two change sides for each that came, went or moved."""
    if before.conditions != after.conditions:
        return
    for name in sorted({*before.classes.values()} & {*after.classes.values()}):
        members = [{key for key, value in each.classes.items() if value == name} for each in (before, after)]
        files = {image_id for where, image_id in before.files ^ after.files if where == name}
        touched = len(members[0] ^ members[1] | files)
        moved = [key for key in members[0] & members[1] if before.sides.get(key) != after.sides.get(key)]
        if len(moved) > 2 * touched and _is_in(before, name) == _is_in(after, name):
            yield f"{len(moved)} pictures of {name} changed sides, and {touched} were touched"


def _is_in(splits: Splits, name: str) -> bool:
    return any(side[0] == name for side in splits.sides.values())


def check_model(clone: Path) -> Iterator[str]:
    """Check the model of a whole run: its lineage, its weights' digest, and that its figures are right."""
    splits = pd.read_parquet(clone / "data/splits.parquet")
    lineage = _trained(clone / "data")
    if lineage != _trained(clone / "data/base") | set(splits.loc[splits["split"] == "train", "image_id"]):
        yield "the lineage is not that of the base and the pictures trained on"
    described = json.loads((clone / "data/model/model.json").read_text(encoding="utf-8"))
    if described["weights_sha256"] != _sha256((clone / "data/model/model.weights.h5").read_bytes()):
        yield "model.json names other weights"
    yield from check_metrics(clone, splits)


def check_metrics(clone: Path, splits: pd.DataFrame) -> Iterator[str]:
    """Compute figures again from the matrix of scores and compare them with metrics.json."""
    rows = pd.read_parquet(clone / "data/predictions/rows.parquet")
    scores = np.load(clone / "data/predictions/scores.npy").astype(np.float64)
    classes = json.loads((clone / "data/predictions/classes.json").read_text(encoding="utf-8"))
    metrics = json.loads((clone / "data/scores/metrics.json").read_text(encoding="utf-8"))
    params = yaml.safe_load((clone / "params.yaml").read_text(encoding="utf-8"))
    weights = pd.read_csv(clone / "data/confused.csv")
    answered = is_answered(rows, scores, params["score"])
    keys = ["image_id", "split"]
    if (
        not rows[keys]
        .sort_values(keys)
        .reset_index(drop=True)
        .equals(splits[keys].sort_values(keys).reset_index(drop=True))
    ):
        yield "predictions are not of the pictures of splits.parquet"
    for name, said in metrics.items():
        chosen = rows["split"].isin(["test", "validation"] if name == "held_out" else [name]).to_numpy()
        computed = figures(rows[chosen], scores[chosen], classes, weights, answered[chosen])
        for metric, value in computed.items():
            if said.get(metric) is not None and abs(said[metric] - value) > 2e-6:
                yield f"{metric} of {name} is {said[metric]}, and {value:.6f} when computed again"


def is_answered(rows: pd.DataFrame, scores: np.ndarray, params: dict[str, float]) -> np.ndarray:
    """Say of which pictures a user is shown an answer: sure enough, and no farther from every class than most known."""
    shown = 100 * scores.max(axis=1, initial=0) >= params["threshold"]
    distance = rows["scope_distance"]
    known = distance[rows["split"] == "train"]
    if params["in_scope"] is None or known.empty:
        return shown
    return shown & ~(distance > known.quantile(params["in_scope"], interpolation="higher")).to_numpy()


def figures(
    rows: pd.DataFrame, scores: np.ndarray, classes: list[str], weights: pd.DataFrame, shown: np.ndarray
) -> dict[str, float]:
    """Compute the figures of one set from its softmax matrix; those on truth only if the model knows all classes."""
    predicted = np.array(classes)[scores.argmax(axis=1)] if len(rows) else np.array([])
    right = predicted == rows["truth"].to_numpy()
    result = {"num_pictures": len(rows), "false_positive_fraction": (shown & ~right).mean()}
    if not len(rows) or not rows["truth"].isin(classes).all():
        return result
    truth = rows["truth"].map(classes.index).to_numpy()
    result |= {"top_1_accuracy": right.mean(), "true_positive_fraction": (shown & right).mean()}
    result |= losses(truth, scores, classes, weights)
    recalls = pd.Series(right).groupby(truth).mean()
    result |= {"num_classes": len(recalls), "balanced_accuracy": recalls.mean()}
    present = sorted(set(rows["truth"]))  # a class without pictures of its own is in no mean
    return result | {"macro_f1": f1_score(rows["truth"], predicted, labels=present, average="macro", zero_division=0)}


def losses(truth: np.ndarray, scores: np.ndarray, classes: list[str], weights: pd.DataFrame) -> dict[str, float]:
    """Compute the log loss and the weighted log loss, as docs/design.md defines them."""
    p = np.clip(scores, EPS, 1 - EPS)
    weight = np.ones((len(classes), len(classes)))
    for row in weights.itertuples():
        if row.truth in classes and row.predicted in classes:
            weight[classes.index(row.truth), classes.index(row.predicted)] = row.weight
    is_truth = np.eye(len(classes), dtype=bool)[truth]
    positive = -np.log(p[is_truth])
    negative = -np.where(is_truth, 0, weight[truth] * np.log1p(-p)).sum(axis=1)
    return {"log_loss": positive.mean(), "weighted_log_loss": (positive + negative).mean()}


def check_release(version: int, named: Mapping[str, str], objects: Objects, published: Path) -> Iterator[str]:
    """Check a promoted model: the export, the model and what was published agree with its tag.

    Args:
        version: of the tag.
        named: what `tracked` returned for its commit.
        objects: the remote.
        published: folder of the version, which may be absent.
    """
    export, model = (objects.listing(named[f"data/{name}"]) for name in ("export", "model"))
    release, description = (_json(objects, export.get(f"{version:03d}/{name}.json")) for name in ("release", "model"))
    weights = _sha256(objects.read(model["model.weights.h5"]) or b"")
    if release.get("version") != version:
        yield f"release.json of version {version} names version {release.get('version')}"
    if not weights == release.get("weights_sha256") == description.get("weights_sha256"):
        yield f"the export of version {version} names other weights than its model's"
    if published.is_dir():
        there = {
            f"{version:03d}/{path.relative_to(published)}": md5(path.read_bytes())
            for path in published.rglob("*")
            if path.is_file()
        }
        yield from _differences(
            f"published {version}",
            there,
            {path: digest for path, digest in export.items() if path.startswith(f"{version:03d}/")},
        )


def check_lineages(lineages: Mapping[int, set[str]], bases: Mapping[int, int | None]) -> Iterator[str]:
    """Check that each promoted model's lineage has all of its base's."""
    for version, base in bases.items():
        if base is not None and not lineages[version] >= lineages[base]:
            yield f"version {version} lacks pictures that its base {base} was trained on"


def read_lineage(named: Mapping[str, str], objects: Objects) -> tuple[set[str], int | None]:
    """Read a promoted model's lineage, and the version of its base."""
    model, base = objects.listing(named["data/model"]), objects.listing(named["data/base"])
    lineage = pd.read_parquet(io.BytesIO(objects.read(model["lineage.parquet"]) or b""))
    return set(lineage["image_id"]), _json(objects, base.get("version.json")).get("version")


def _json(objects: Objects, digest: str | None) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((objects.read(digest) if digest else None) or b"{}")
    return result


def _digest(path: Path) -> str | None:
    """Digest a file or a folder as DVC does."""
    if path.is_file():
        return md5(path.read_bytes())
    if not path.is_dir():
        return None
    names = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
    entries = [
        {"md5": md5((path / name).read_bytes()), "relpath": name}
        for name in sorted(names, key=lambda name: tuple(name.split("/")))
    ]
    return f"{md5(json.dumps(entries, sort_keys=True).encode())}.dir"


def _is_whole(content: bytes) -> bool:
    try:
        Image.open(io.BytesIO(content)).load()
    except (OSError, SyntaxError):
        return False
    return True


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _differences(what: str, found: Listing, expected: Listing) -> Iterator[str]:
    for path in sorted({*found, *expected}):
        if found.get(path) != expected.get(path):
            yield f"{what}: {path} is {found.get(path, 'absent')}, expected {expected.get(path, 'no such file')}"
