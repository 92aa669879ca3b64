"""What Schemathesis never hits on by itself: pictures, and a transaction that was answered.

    export GATEWAY=http://127.0.0.1:8099 KEY=...
    PYTHONPATH=. SCHEMATHESIS_HOOKS=bench.gateway.schemathesis_hooks schemathesis run $GATEWAY/openapi.json ...

Schemathesis reads it, in an environment of its own that has Pillow too: it is in no lock of ours.
"""

import json
import os
import re
import urllib.request
from io import BytesIO
from typing import Any

import schemathesis  # type: ignore[import-not-found]
from hypothesis import strategies as st
from PIL import Image
from schemathesis.transport.serialization import Binary  # type: ignore[import-not-found]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")


def picture(kind: str) -> bytes:
    """Draw a small picture of a format."""
    data = BytesIO()
    Image.linear_gradient("L").resize((60, 40)).convert("RGB").save(data, kind)
    return data.getvalue()


def answered(data: bytes) -> str:
    """Have the gateway answer a picture; gives its transaction."""
    headers = {"Content-Type": "image/jpeg", "X-API-Key": os.environ.get("KEY", "")}
    request = urllib.request.Request(f"{os.environ['GATEWAY']}/v1/identify", data, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        transaction: str = json.load(response)["transaction"]
    return transaction


PICTURES = [picture(kind) for kind in FORMATS]
TRANSACTION = answered(PICTURES[0])

WELL_FORMED = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

schemathesis.openapi.media_type("image/*", st.sampled_from(PICTURES))


@schemathesis.hook
def map_path_parameters(_: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Ask about the transaction."""
    return of_transaction(path_parameters)


@schemathesis.hook
def map_body(_: Any, body: Any) -> Any:
    """Say something of the transaction, and send a picture in a form."""
    if isinstance(body, dict) and isinstance(body.get("image"), bytes | Binary):
        body = {**body, "image": PICTURES[0]}
    return of_transaction(body)


def of_transaction(values: Any) -> Any:
    """Put the transaction in place of one that is well formed: what breaks the description stays as it is."""
    if isinstance(values, dict) and WELL_FORMED.fullmatch(str(values.get("transaction"))):
        return {**values, "transaction": TRANSACTION}
    return values
