"""Servers of models that the gateway asks: by TensorFlow Serving's protocol and KServe's, and what each may answer."""

import asyncio
import json
import os
import shutil
import signal
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from exports import CLASSES, SIDE, write_export
from pictures import draw, saved

from runtime import parameters
from runtime.errors import InputError
from serving.models import Exports, ModelError, open_model
from serving.onnx_model import OnnxModel
from serving.prepare import Limits, prepare
from serving.projection import NUM

PICTURE = saved(draw(1, (60, 40)), "JPEG")


@contextmanager
def server(answer):
    """A server that gives what `answer` makes of a path and a JSON body: a status and something for JSON, or bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = answer(self.path, json.loads(body) if body else None)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_): ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def ask(place, exports):
    """Ask the model at a place for an answer to PICTURE."""

    async def asking():
        model = open_model(place, Exports(exports), 5.0, 1)
        try:
            side = await model.side()
            limits = Limits(10**7, parameters.read(parameters.Quality), 0.0)
            prepared = prepare(PICTURE, {side} - {None}, limits)
            return await model.answer(prepared), await model.is_ready()
        finally:
            await model.close()

    return asyncio.run(asking())


def tensorflow_serving(export, **changes):
    """Answers as TensorFlow Serving does with an export."""
    import base64

    model = OnnxModel(export, 10**7)

    def answer(path, body):
        if body is None:
            return 200, {"model_version_status": [{"version": "7", "state": "AVAILABLE"}]}
        assert path == "/v1/models/retrain:predict"
        (instance,) = body["instances"]
        row = dict(model.answer(base64.b64decode(instance["b64"]))) | {"in_scope": True} | changes
        return 200, {"predictions": [row]}

    return answer


def kserve(export, **changes):
    """Answers as a server of KServe's protocol does with an export's model.onnx."""
    import numpy as np

    model = OnnxModel(export, 10**7)

    def answer(path, body):
        if body is None:
            return 200, {"inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3]}]}
        assert path == "/v2/models/retrain/infer"
        (tensor,) = body["inputs"]
        pixels = np.array(tensor["data"], np.uint8).reshape(tensor["shape"])
        scores = model.answer_pixels(pixels[0])["scores"]
        outputs = [{"name": "scores", "datatype": "FP32", "shape": [1, 3], "data": scores}]
        outputs.append({"name": "in_scope", "datatype": "BOOL", "shape": [1], "data": [False]})
        distance = [model.answer_pixels(pixels[0])["scope_distance"]]
        outputs.append({"name": "scope_distance", "datatype": "FP32", "shape": [1], "data": distance})
        return 200, {"model_name": "retrain", "model_version": "7", "outputs": outputs} | changes

    return answer


@pytest.mark.parametrize(("kind", "path"), [(tensorflow_serving, "v1"), (kserve, "v2")])
def test_a_server_answers_as_the_embedded_model_does(tmp_path, kind, path):
    export = write_export(tmp_path)
    expected = OnnxModel(export, 10**7).answer(PICTURE)
    with server(kind(export)) as url:
        reply, is_ready = ask(f"{url}/{path}/models/retrain", tmp_path)
    assert is_ready
    assert (reply.version, reply.threshold) == (7, 60.0)
    assert (reply.classes, reply.confidences) == (expected["classes"], pytest.approx(expected["confidences"], abs=1e-3))
    assert reply.scores.tolist() == pytest.approx(expected["scores"], abs=1e-5)
    assert reply.scope_distance == pytest.approx(expected["scope_distance"], abs=1e-5)
    assert reply.embedding is None


def test_an_embedded_model_gives_an_embedding_too_and_an_older_export_no_distance(tmp_path):
    reply, _ = ask(str(write_export(tmp_path)), tmp_path)
    assert reply.embedding.shape == (NUM,)
    with server(lambda path, body: predicted(embedding=[0.5] * NUM)) as url:
        reply, _ = ask(f"{url}/v1/models/retrain", tmp_path)
    assert (reply.scope_distance, reply.embedding) == (None, None), "of another projection, if it is any"


GOOD = {"version": 7, "scores": [0.1, 0.2, 0.7], "classes": ["red"], "confidences": [70.0], "in_scope": True}


def predicted(**changes):
    return 200, {"predictions": [GOOD | changes]}


@pytest.mark.parametrize("sharpness", [0.1, 0.2], ids=["the same model", "another one"])
def test_a_model_that_was_written_anew_under_its_number_answers_only_where_it_is_the_same(tmp_path, sharpness):
    async def asking():
        model = open_model(str(write_export(tmp_path)), Exports(tmp_path), 120.0, 1)  # on a machine that does much else
        try:
            limits = Limits(10**7, parameters.read(parameters.Quality), 0.0)
            prepared = prepare(PICTURE, {await model.side()}, limits)
            first = await model.answer(prepared)
            shutil.rmtree(tmp_path / "007")
            write_export(tmp_path, sharpness=sharpness)
            os.kill(model.processes.pids[0], signal.SIGKILL)
            while model.processes.restarts == 0:
                await asyncio.sleep(0.05)
            return first, await model.answer(prepared)
        finally:
            await model.close()

    if sharpness == 0.1:
        first, second = asyncio.run(asking())
        assert (first.confidences, first.version) == (second.confidences, second.version)
    else:
        with pytest.raises(ModelError, match=r"007 holds another model than when .* Start the gateway again"):
            asyncio.run(asking())


def test_the_answer_that_the_next_test_spoils_is_a_good_one(tmp_path):
    write_export(tmp_path)
    with server(lambda path, body: predicted()) as url:
        assert ask(f"{url}/v1/models/retrain", tmp_path)[0].classes == ["red"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, {"error": "out of memory"}), "answers 500: .*out of memory"),
        ((200, b"<html>"), "what is no JSON"),
        ((200, b"[" * 100_000), "what is no JSON"),
        ((200, {"predictions": []}), "another form"),
        ((200, ["predictions"]), "another form"),
        ((200, {"predictions": ["red"]}), "another form"),
        (predicted(scores=[1.0]), "of shape"),
        (predicted(scores=[10**400, 0, 0]), "another form"),
        (predicted(scores=[float("nan"), 0, 0]), "expected 3 numbers"),
        (predicted(classes=[]), "best of the classes"),
        (predicted(classes=["red", "blue"]), "best of the classes"),
        (predicted(classes=["a fish"]), "best of the classes"),
        (predicted(classes=[["red"]]), "another form"),
        (predicted(classes=None), "another form"),
        (predicted(confidences=[float("nan")]), "from 0 to 100"),
        (predicted(confidences=[170.0]), "from 0 to 100"),
        (predicted(confidences=["much"]), "another form"),
        (predicted(in_scope="no"), "not true or false"),
        (predicted(scope_distance=float("nan")), "scope_distance is no number"),
        (predicted(scope_distance="far"), "another form"),
        (predicted(version=float("inf")), "another form"),
        (predicted(version=8), "threshold is not known"),
    ],
)
def test_another_answer_than_expected_is_no_answer_and_the_log_says_why(tmp_path, answer, words):
    write_export(tmp_path)
    with server(lambda path, body: answer) as url, pytest.raises(ModelError, match=words):
        ask(f"{url}/v1/models/retrain", tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"outputs": []}, {"outputs": None}, {"outputs": [3]}, {"model_version": None}, {"model_version": "new"}],
)
def test_another_answer_of_a_server_of_kserve_s_protocol_is_none_either(tmp_path, changes):
    export = write_export(tmp_path)
    with server(kserve(export, **changes)) as url, pytest.raises(ModelError, match="another form"):
        ask(f"{url}/v2/models/retrain", tmp_path)


@pytest.mark.parametrize("metadata", [[], {}, {"inputs": []}, {"inputs": [{"name": "pixels", "shape": ["x"]}]}])
def test_a_server_that_does_not_say_what_it_takes_is_no_model(tmp_path, metadata):
    with server(lambda path, body: (200, metadata)) as url, pytest.raises(ModelError, match="another form"):
        ask(f"{url}/v2/models/retrain", tmp_path)


def is_ready(place, exports):
    async def asking():
        model = open_model(place, Exports(exports), 5.0, 1)
        try:
            return await model.is_ready()
        finally:
            await model.close()

    return asyncio.run(asking())


def test_a_server_that_is_there_without_its_model_is_not_ready(tmp_path):
    loading = {"model_version_status": [{"version": "7", "state": "LOADING"}]}
    with server(lambda path, body: (200, loading)) as url:
        assert not is_ready(f"{url}/v1/models/retrain", tmp_path)
    with server(lambda path, body: (503 if path.endswith("/ready") else 200, {"inputs": []})) as url:
        assert not is_ready(f"{url}/v2/models/retrain", tmp_path)


def test_a_server_that_is_gone_is_no_answer(tmp_path):
    with pytest.raises(ModelError, match="does not answer"):
        ask("http://127.0.0.1:9/v1/models/retrain", tmp_path)


def test_a_place_of_another_kind_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match="no model that can be asked"):
        open_model("ftp://models/retrain", Exports(tmp_path), 1.0, 1)
    with pytest.raises(InputError, match="holds no export"):
        Exports(tmp_path).newest()


def test_the_newest_export_is_taken(tmp_path):
    for version in (7, 12, 9):
        write_export(tmp_path, version)
    (tmp_path / "999").mkdir()
    assert Exports(tmp_path).newest().name == "012"


def test_what_the_model_calls_out_of_scope_is_not_shown(tmp_path):
    export = write_export(tmp_path, threshold=0.0)
    with server(kserve(export)) as url:
        reply, _ = ask(f"{url}/v2/models/retrain", tmp_path)
    assert (reply.in_scope, reply.shown, set(reply.classes)) == (False, False, set(CLASSES))
    assert reply._replace(in_scope=None).shown
