"""Where the model looked: its class activation over a picture, drawn in a process of its own so that keys stay fast."""

from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import BaseModel, TypeAdapter

from curation.forms import is_image_id
from curation.pictures import Pictures
from curation.security import Person
from curation.shared_file import ABSENT, signature
from curation.snapshot import Snapshot
from curation.state import Desk
from runtime.errors import InputError
from runtime.json_files import read_json
from stages.tables import model
from stages.tables.exported import EXPORT, ONNX, RELEASE

if TYPE_CHECKING:
    from serving.processes import Processes

_SECONDS = 30.0  # that drawing may take
_REMEDY = "`make repro` exports the model."


class _Weights(BaseModel):
    weights_sha256: str


_WEIGHTS = TypeAdapter(_Weights)


def add_looking(app: FastAPI, desk: Desk, pictures: Pictures) -> None:
    """Add the address of the drawings."""
    looking = Looking()

    @app.get("/activation/{image_id}")
    def activation(image_id: str, person: Person) -> Response:
        if not is_image_id(image_id):
            return Response(status_code=404)
        drawn = looking.draw(desk.snapshot, pictures, image_id)
        return Response(drawn, media_type="image/png")


class Looking:
    """Draws; its process begins with the first picture, and anew where a run has written another export."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._processes: Processes | None = None
        self._signature: tuple[int, ...] = ABSENT  # of the graph that the process has read

    def draw(self, snapshot: Snapshot, pictures: Pictures, image_id: str) -> bytes:
        """Draw the activation of the class that the model predicts over a picture.

        Args:
            snapshot: the tables.
            pictures: reads the picture.
            image_id: of the picture.

        Returns:
            A PNG.

        Raises:
            RetrainError: there is no prediction, picture or export, the export is of another model, or its network ends
                in a way that has no class activation.
        """
        best = snapshot.best(image_id)
        if not best:
            raise InputError("the model has said nothing of this picture, so it has looked nowhere.")
        export = _export_of(snapshot)
        picture = pictures.read(image_id, snapshot.paths(image_id))
        return self._drawn(export, best[0][0], picture)

    def _drawn(self, export: Path, class_name: str, picture: bytes) -> bytes:
        # Reading a graph takes packages that nothing else here needs: they are loaded when somebody looks.
        from serving.activation import Task, explaining
        from serving.processes import DiedError, Processes

        try:
            with self._lock:
                found = signature(export / ONNX)
                if self._processes is not None and found != self._signature:
                    self._processes.close()
                    self._processes = None
                if self._processes is None:
                    self._signature = found
                    self._processes = Processes("the process that draws it", explaining, timeout_seconds=_SECONDS)
                future: Future[bytes] = self._processes.do(Task(export, class_name, picture))
            return future.result()
        except DiedError as error:
            raise InputError(f"it cannot be drawn where the model looked: {error}. Try again.") from None


def _export_of(snapshot: Snapshot) -> Path:
    """Find the export of the model whose predictions the tables hold.

    Raises:
        InputError: it is not there.
    """
    export = Path(EXPORT, f"{snapshot.version:03d}")
    if not (export / ONNX).is_file():
        raise InputError(f"{export / ONNX} is not here, by which it is drawn where the model looked. {_REMEDY}")
    trained = Path(model.FOLDER, model.DESCRIPTION)
    files = [trained, export / RELEASE] if trained.is_file() else []
    if len({read_json(file, _WEIGHTS, "description of a model", _REMEDY).weights_sha256 for file in files}) > 1:
        raise InputError(f"{export} is of another model than the one that said this. {_REMEDY}")
    return export
