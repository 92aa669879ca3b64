"""The pipeline's tables as the desk reads them: whole, beside a run, and again when a new run has written them."""

import json
import mmap
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from sys import intern
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from curation.harvested import NOTHING, Harvested, read_harvested
from curation.shared_file import ABSENT, signature
from intake.embeddings import read_embeddings
from intake.harvest import EMBEDDINGS as HARVESTED_EMBEDDINGS
from intake.harvest import TRANSACTIONS
from review.beside_people import HELD_OUT
from runtime import parameters
from runtime.errors import InputError, RetrainError
from stages.embeddings.vectors import BLOCK, units
from stages.labels.classes import PATH as CLASSES
from stages.labels.classes import Classes, read_classes
from stages.labels.folders import list_paths
from stages.labels.labelling import list_sub_classes
from stages.models.base import BASE_LINEAGE
from stages.suspects.neighbours import medoids
from stages.tables import predictions
from stages.tables.duplicates import DUPLICATES
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.matrices import read_class_names
from stages.tables.matrix import open_matrix
from stages.tables.model import DISTANCE_DIGITS
from stages.tables.review import REVIEW
from stages.tables.splits import SPLITS
from stages.tables.table import Table

_COLUMNS: dict[Table, Sequence[str]] = {
    FINGERPRINTS: ("path", "image_id", "bytes", "width", "height", "format", "sharpness", "chroma", "error"),
    IMAGES: ("image_id", "path", "sub_class", "class_name", "origin", "set", "group", "dropped", "faults", "source"),
    DUPLICATES: ("image_a", "image_b", "kind", "similarity", "keep", "label_conflict"),
    REVIEW: REVIEW.schema.names,
    IDENTIFIED: IDENTIFIED.schema.names,
    SPLITS: ("image_id", "split"),
    predictions.ROWS: ("image_id", "split", "truth", "predicted", "confidence"),
    EMBEDDED: ("image_id",),
}
_MATRICES = (predictions.SCORES, EMBEDDINGS)
_OTHERS = (CLASSES, predictions.CLASSES, BASE_LINEAGE, parameters.PATH)
_FILES = (*(table.path for table in _COLUMNS), *_MATRICES, *_OTHERS)
_WRITTEN = Path(".dvc/tmp/rwlock")  # which DVC keeps: what the stages that run read and write, and by which process
_CHECKED_SECONDS = 1.0  # between two looks at whether the files are still the same
NUM_BEST = 3
_NUM_NEAREST = 16  # pictures of a class among which one is looked for that is no copy and of a real sub-class
_BLOCK = 2**22  # cosines that are computed at a time: 16 MB


class Rows:
    """Rows of a matrix in a file; none of them stays in memory.

    Args:
        matrix: a memory map; of no rows or columns, a plain array.
    """

    def __init__(self, matrix: NDArray[Any]) -> None:
        self._matrix = matrix

    def __getitem__(self, rows: int | Sequence[int] | NDArray[np.int64]) -> NDArray[Any]:
        found = np.array(self._matrix[rows])
        file: object = self._matrix.base
        if isinstance(file, mmap.mmap):
            file.madvise(mmap.MADV_DONTNEED)  # else pages read once, and their neighbours, count as ours for good
        return found


@dataclass(frozen=True)
class Snapshot:
    """Tables that were read together; a table that is not there yet has no rows.

    Attributes:
        tables: by table.
        classes: what each sub-class is.
        class_names: of the model, in the order of the scores.
        scores: of `predictions.ROWS`; None where there is no model.
        vectors: embeddings of `EMBEDDED`; None where there are none.
        version: of the model.
        trained: pictures that the base was trained on.
        max_pixels: of a picture; one with more is not decoded.
        harvested: answers in production that people judge.
    """

    tables: dict[Table, pd.DataFrame]
    classes: Classes
    class_names: list[str]
    scores: Rows | None
    vectors: Rows | None
    version: int
    trained: frozenset[str]
    max_pixels: int
    harvested: Harvested = NOTHING

    @cached_property
    def files(self) -> pd.DataFrame:
        """One row per picture that can be read, by image_id: where it lies, its size and quality."""
        files = self.tables[FINGERPRINTS]
        return files[files["error"].isna()].drop_duplicates("image_id").set_index("image_id")

    def paths(self, image_id: str) -> list[str]:
        """List where the files of a picture are, relative to data/; none where it is not here."""
        ids, paths = self._by_id
        found: list[str] = paths.iloc[bisect_left(ids, image_id) : bisect_right(ids, image_id)].tolist()
        return found

    @cached_property
    def _by_id(self) -> tuple[list[str], "pd.Series[str]"]:
        """The image_id of each file, sorted, and its path."""
        files = self.tables[FINGERPRINTS].sort_values("image_id", kind="stable")
        return files["image_id"].tolist(), files["path"]

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per picture of library and benchmarks, by image_id; of its files the one that is used."""
        images = self.tables[IMAGES]
        kept_first = images.assign(gone=images["dropped"].notna()).sort_values("gone", kind="stable")
        return kept_first.drop_duplicates("image_id").set_index("image_id")

    @cached_property
    def of_no_class(self) -> frozenset[str]:
        """The pictures of library and benchmarks that have no sub-class."""
        return frozenset(self.images.index[self.images["sub_class"].isna()])

    @property
    def _used(self) -> pd.DataFrame:
        """The rows of `images` of the library's pictures that are in use."""
        return self.images[(self.images["set"] == "library") & self.images["dropped"].isna()]

    @cached_property
    def members(self) -> dict[str, list[str]]:
        """The pictures of the library that are in use, sorted, by class."""
        return {str(name): sorted(ids) for name, ids in self._used.groupby("class_name").groups.items()}

    @cached_property
    def labels(self) -> dict[str, str]:
        """The sub-class of each picture of the library that is in use, by image_id."""
        used = self._used["sub_class"].dropna()
        return {image_id: intern(label) for image_id, label in zip(used.index, used, strict=True)}

    @cached_property
    def review(self) -> pd.DataFrame:
        """What a person should look at, worst first, by image_id."""
        return self.tables[REVIEW].drop_duplicates("image_id").set_index("image_id")

    @cached_property
    def identified(self) -> pd.DataFrame:
        """Pictures without a label, by image_id, those first that are wanted, then the surest."""
        order = ["wanted", "confidence_1", "image_id"]
        rows = self.tables[IDENTIFIED].sort_values(order, ascending=[False, False, True], kind="stable")
        rows = rows.assign(staged=rows["class_1"].isin(self.staged))
        return rows.drop_duplicates("image_id").set_index("image_id")

    @cached_property
    def held_out(self) -> dict[str, str]:
        """The group of near-duplicates of each picture that validates or tests and can be read, by image_id."""
        rows = self.tables[SPLITS]
        ids = rows.loc[rows["split"].isin(HELD_OUT), "image_id"]
        groups = self.images["group"].reindex(ids)
        readable = ids.isin(self.files.index).to_numpy() & groups.notna().to_numpy()
        return {str(each): str(group) for each, group in groups[readable].items()}

    @cached_property
    def staged(self) -> frozenset[str]:
        """The classes that the model has learned from staged pictures too, which real ones would replace."""
        used, rows = self._used, self.tables[predictions.ROWS]
        staged = used.index[used["origin"] == "staged"]
        return frozenset(rows.loc[(rows["split"] == "train") & rows["image_id"].isin(staged), "truth"])

    @cached_property
    def sub_classes(self) -> dict[str, list[str]]:
        """The sub-classes of each class, the real ones first."""
        found: dict[str, list[str]] = {}
        for sub_class in sorted(
            self.classes.class_names, key=lambda name: (self.classes.origins[name] != "real", name)
        ):
            class_name = self.classes.class_names[sub_class]
            if class_name is not None:
                found.setdefault(class_name, []).append(sub_class)
        return found

    @cached_property
    def unknown(self) -> list[str]:
        """The sub-classes of good pictures whose label is not known."""
        return [name for name, origin in sorted(self.classes.origins.items()) if origin == "unknown"]

    def best(self, image_id: str) -> list[tuple[str, float]]:
        """Give the model's best classes of a labelled picture with their confidences, 0 to 100, best first."""
        row = self._predicted.get(image_id)
        if row is None or self.scores is None:
            return []
        scores = self.scores[row]
        columns = np.argsort(-scores, kind="stable")[:NUM_BEST]
        return [(self.class_names[column], 100 * float(scores[column])) for column in columns]

    def nearest(self, image_id: str, class_name: str, most: int) -> list[str]:
        """List the pictures of a class that are most like a picture, the nearest first; without its own copies.

        The picture may be one that was harvested, of which nobody knows copies.
        """
        rows, own = self._rows_of_class.get(class_name), self._embedding(image_id)
        if rows is None or own is None or self.vectors is None:
            return []
        vectors, (unit,) = units(self.vectors[rows]), units(own[None])
        if len(unit) != vectors.shape[1]:  # params.yaml names another network, and `embed` has not run since
            return []
        cosines = vectors @ unit
        group = self.images["group"].get(image_id)
        names = self._embedded_ids[rows[np.argsort(-cosines, kind="stable")[: most + 8]]]
        others = [name for name in names if name != image_id and (group is None or self.images["group"][name] != group)]
        return others[:most]

    def typical(self, class_name: str) -> str | None:
        """Give the most typical picture of a class."""
        if class_name not in self._typical:
            rows = self._rows_of_class.get(class_name)
            if rows is None or self.vectors is None:
                return None
            row = medoids(units(self.vectors[rows]), np.zeros(len(rows), np.int64), 1)[0]
            self._typical[class_name] = str(self._embedded_ids[rows[row]])
        return self._typical[class_name]

    def sub_class_of(self, class_name: str, image_id: str) -> str | None:
        """Choose the sub-class of a class that a picture most probably belongs to: that of the most similar picture.

        Args:
            class_name: as the model has it, which may have learned an older name.
            image_id: of the picture.

        Returns:
            None if there is no such class now.
        """
        return self.sub_classes_of(class_name, [image_id])[0]

    def sub_classes_of(self, class_name: str, image_ids: Sequence[str]) -> list[str | None]:
        """Choose the sub-class of each picture as `sub_class_of` does; thousands in a moment."""
        name = self.classes.name_of_folder(class_name)
        names = self.sub_classes.get(name, [name] if name in self.classes.class_names else [])
        real = [each for each in names if self.classes.origins[each] == "real"]
        first = next(iter(real or names), None)
        members = self._rows_of_class.get(class_name)
        if len(real) < 2 or members is None or self.vectors is None:
            return [first] * len(image_ids)
        known = self.images.reindex(self._embedded_ids[members])[["group", "sub_class"]].to_numpy(dtype=object)
        groups, columns = self.images["group"], units(self.vectors[members]).T
        chosen, own = [first] * len(image_ids), self.rows_of(image_ids)
        embedded = np.flatnonzero(own >= 0)
        for block in np.array_split(embedded, len(embedded) * len(members) // _BLOCK + 1):
            nearest = np.argsort(-(units(self.vectors[own[block]]) @ columns), axis=1, kind="stable")[:, :_NUM_NEAREST]
            for number, near in zip(block, nearest, strict=True):
                group = groups.get(image_ids[number], image_ids[number])
                others = [known[each, 1] for each in near if known[each, 0] != group]
                chosen[number] = next((each for each in others if each in real), first)
        return chosen

    def sub_class_for(self, class_name: str, image_id: str) -> str:
        """Choose the sub-class of a class as `sub_class_of` does.

        Raises:
            InputError: there is no such class now.
        """
        sub_class = self.sub_class_of(class_name, image_id)
        if sub_class is None:
            raise InputError(
                f"the model says {class_name!r}, which is no class any more. Type the name that it has now."
            )
        return sub_class

    def rows_of(self, image_ids: Sequence[str]) -> NDArray[np.int64]:
        """Find the rows of pictures in `vectors`; -1 for a picture that has none."""
        return np.array([self._embedded.get(image_id, -1) for image_id in image_ids], np.int64)

    def likest(self, image_id: str, among: Sequence[str]) -> list[str]:
        """Order pictures by how much they are like one, the most alike first; those without an embedding last.

        Args:
            image_id: of the picture, which may be among them.
            among: image_ids; equals stay in this order.
        """
        own, rows = self._embedded.get(image_id), self.rows_of(among)
        if own is None or self.vectors is None:
            return list(among)
        likeness = np.full(len(rows), -2.0)
        (vector,) = units(self.vectors[[own]])
        for block in np.array_split(np.flatnonzero(rows >= 0), len(rows) // BLOCK + 1):
            likeness[block] = units(self.vectors[rows[block]]) @ vector
        order = np.argsort(-likeness.round(DISTANCE_DIGITS), kind="stable")
        return [among[number] for number in order]

    def _embedding(self, image_id: str) -> NDArray[np.float16] | None:
        row = self._embedded.get(image_id)
        if row is None or self.vectors is None:
            return self.harvested.embeddings.get(image_id)
        return self.vectors[row]

    @cached_property
    def _predicted(self) -> dict[str, int]:
        ids = self.tables[predictions.ROWS]["image_id"].tolist()
        return {image_id: row for row, image_id in reversed(list(enumerate(ids)))}

    @cached_property
    def _embedded_ids(self) -> NDArray[np.object_]:
        return self.tables[EMBEDDED]["image_id"].to_numpy(dtype=object)

    @cached_property
    def _embedded(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(self._embedded_ids)}

    @cached_property
    def _rows_of_class(self) -> dict[str, NDArray[np.int64]]:
        """The rows among the embeddings of the library's pictures in use, by class."""
        rows: dict[str, NDArray[np.int64]] = {}
        for name, members in self.members.items():
            found = [self._embedded[image_id] for image_id in members if image_id in self._embedded]
            if found:
                rows[name] = np.array(sorted(found), np.int64)
        return rows

    @cached_property
    def _typical(self) -> dict[str, str]:
        return {}


class Tables:
    """Reads the tables again when a run has written new ones; while a run has some of them away, the old ones stay.

    Attributes:
        notice: what is wrong with the newest tables, in a sentence, or None.
        harvest_notice: what is wrong with what was harvested.
    """

    def __init__(self) -> None:
        self.notice: str | None = None
        self.harvest_notice: str | None = None
        self._harvest_signature: tuple[int, ...] = ()
        self._signature: tuple[Any, ...] | None = None
        self._checked = -_CHECKED_SECONDS
        self._snapshot: Snapshot | None = None

    @property
    def run(self) -> str:
        """Tell these tables from others: 8 hex digits."""
        return f"{crc32(repr(self._signature).encode()):08x}"

    def current(self) -> Snapshot:
        """Give the newest tables that can be read.

        Raises:
            RetrainError: the first time: a table is damaged.
        """
        now = time.monotonic()
        if self._snapshot is None or now - self._checked >= _CHECKED_SECONDS:
            self._checked = now
            found = _signatures()
            if self._snapshot is None:
                self._snapshot, self._signature = read_snapshot(), found
            elif found == self._signature:
                self.notice = None
            elif not self._is_being_written(found):
                self._read(found)
            self._snapshot = self._with_harvest(self._snapshot)
        return self._snapshot

    def _with_harvest(self, snapshot: Snapshot) -> Snapshot:
        """Read again what was harvested, if that changed; it may be gone, as what was forgotten is."""
        found = (*signature(TRANSACTIONS), *signature(HARVESTED_EMBEDDINGS))
        if found != self._harvest_signature:
            self._harvest_signature, self.harvest_notice, harvested = found, None, NOTHING
            try:
                harvested = read_harvested()
                harvested = replace(harvested, embeddings=read_embeddings(HARVESTED_EMBEDDINGS))
            except RetrainError as error:
                self.harvest_notice = str(error)
            return replace(snapshot, harvested=harvested)
        return snapshot

    def _is_being_written(self, found: tuple[Any, ...]) -> bool:
        """Say whether a run writes a file that was there and is away: DVC takes a stage's outputs away before it runs.

        A file that is away and that no run writes is gone, as after the checkout of an older commit.
        """
        states = zip(_FILES, self._signature or (), found, strict=True)
        away = [Path(path).resolve() for path, was, is_ in states if was != ABSENT and is_ == ABSENT]
        is_written = bool(away) and any(path.is_relative_to(each) for each in _written_by_runs() for path in away)
        self.notice = "A run is writing new tables; you see those from before it." if is_written else None
        return is_written

    def _read(self, found: tuple[Any, ...]) -> None:
        try:
            self._snapshot = read_snapshot()
            self._signature, self.notice = found, None
            self._harvest_signature = ()  # embeddings of another network than before count no more
        except RetrainError as error:
            self.notice = f"New tables cannot be read yet; you see those from before. {error}"


def read_snapshot() -> Snapshot:
    """Read the tables that are there.

    Raises:
        RetrainError: one is damaged.
    """
    ids: dict[str, str] = {}
    tables = {table: _optional(table, columns, ids) for table, columns in _COLUMNS.items()}
    pa.default_memory_pool().release_unused()
    paths = tables[FINGERPRINTS]["path"] if len(tables[FINGERPRINTS]) else list_paths("library")
    classes = read_classes(CLASSES, list_sub_classes(paths))
    names = read_class_names(predictions.CLASSES) if Path(predictions.CLASSES).exists() else []
    scores = vectors = None
    if names and Path(predictions.SCORES).exists():
        shape = (len(tables[predictions.ROWS]), len(names))
        what = f"scores after {predictions.ROWS.path}"
        scores = Rows(open_matrix(predictions.SCORES, shape, np.float32, what, "evaluate"))
    if Path(EMBEDDINGS).exists():
        what = f"features after {EMBEDDED.path}"
        vectors = Rows(open_matrix(EMBEDDINGS, (len(tables[EMBEDDED]), None), np.float16, what, "embed"))
    trained = LINEAGE.read(BASE_LINEAGE)["image_id"] if Path(BASE_LINEAGE).exists() else ()
    version = parameters.read(parameters.Export).version
    max_pixels = parameters.read(parameters.Fingerprint).max_pixels
    return Snapshot(tables, classes, names, scores, vectors, version, frozenset(trained), max_pixels)


def row_of(frame: pd.DataFrame, image_id: str) -> pd.Series:
    """Give the row of a picture in a table by image_id; an empty one if it has none."""
    return frame.xs(image_id) if image_id in frame.index else pd.Series(dtype=object)  # type: ignore[return-value]


def text_of(row: pd.Series, name: str) -> str | None:
    """Give a text of a row; None where it is null or there is no such column."""
    value = row.get(name)
    return None if value is None or pd.isna(value) else str(value)


def _optional(table: Table, columns: Sequence[str], ids: dict[str, str]) -> pd.DataFrame:
    """Read a table; an image_id is the same object in all of them, since many of a library's texts are such."""
    try:
        frame = table.parse(Path(table.path).read_bytes(), columns)
    except FileNotFoundError:
        frame = table.schema.empty_table().to_pandas()[list(columns)]
    if "image_id" in frame:
        frame["image_id"] = pd.Series([ids.setdefault(each, each) for each in frame["image_id"]], dtype=object)
    return frame


def _signatures() -> tuple[tuple[int, ...], ...]:
    return tuple(signature(Path(path)) for path in _FILES)


def _written_by_runs() -> Iterable[Path]:
    """List the files and folders that stages which DVC runs now are to write, as DVC's own list has them."""
    try:
        written = json.loads(_WRITTEN.read_text(encoding="utf-8")).get("write", {})
    except (FileNotFoundError, ValueError):  # none, or one that is being written itself
        return []
    return [Path(path) for path, by in written.items() if Path(f"/proc/{by['pid']}").exists()]
