"""Hypothesis' strategies for damaged files of every container that both ways of preparing read."""

import random
import struct
from collections.abc import Callable

from hostile import kinds
from hypothesis import strategies as st
from odd_files import chunk, exif_of, segment

WHOLE = {name: data for name, data in kinds(random.Random(0)).items() if not name.endswith(("tif", "avif"))}
EXIF = st.builds(exif_of, st.integers(0, 9), st.integers(1, 13), st.sampled_from([1, 1, 1, 0, 2]), st.booleans())
Change = Callable[[bytes], bytes]


def _flipped(data: bytes, flips: list[tuple[float, int]], reach: int) -> bytes:
    changed = bytearray(data)
    for place, bit in flips:
        changed[int(place * min(len(data), reach))] ^= 1 << bit
    return bytes(changed)


PLACES = st.floats(0, 1, exclude_max=True)
FLIPS = st.lists(st.tuples(PLACES, st.integers(0, 7)), min_size=1, max_size=8)
ANYWHERE: list[st.SearchStrategy[Change]] = [
    PLACES.map(lambda place: lambda data: data[: int(place * len(data))]),
    FLIPS.map(lambda flips: lambda data: _flipped(data, flips, len(data))),
    FLIPS.map(lambda flips: lambda data: _flipped(data, flips, 64)),
    st.tuples(PLACES, st.binary(max_size=40)).map(
        lambda at: lambda data: data[: int(at[0] * len(data))] + at[1] + data[int(at[0] * len(data)) + len(at[1]) :]
    ),
]
CHUNKS = st.one_of(
    st.binary(max_size=8).map(lambda content: chunk(b"tRNS", content)),
    st.integers(0, 90).map(lambda length: chunk(b"PLTE", bytes(range(length)))),
    EXIF.map(lambda block: chunk(b"eXIf", block)),
    st.sampled_from([b"tEXt", b"iCCP", b"acTL", b"fcTL", b"bKGD", b"gAMA", b"IEND", b"ABCD", b"abcd", b"IDAT"]).map(
        lambda name: chunk(name, b"a\0b")
    ),
)


def png_chunks(data: bytes) -> list[bytes]:
    """The chunks of a whole PNG."""
    chunks, position = [], 8
    while position < len(data):
        end = position + 12 + struct.unpack_from(">I", data, position)[0]
        chunks.append(data[position:end])
        position = end
    return chunks


@st.composite
def changed_chunks(draw: st.DrawFn) -> Change:
    """Insert, remove, repeat, exchange or damage chunks of a PNG; most of their checksums are right."""
    way, at, other = (
        draw(st.sampled_from(["insert", "insert", "remove", "repeat", "exchange", "damage"])),
        *draw(st.tuples(PLACES, PLACES)),
    )
    new = draw(CHUNKS)

    def change(data: bytes) -> bytes:
        chunks = png_chunks(data)
        first, second = 1 + int(at * (len(chunks) - 1)), 1 + int(other * (len(chunks) - 1))
        if way == "insert":
            chunks.insert(first, new)
        elif way == "remove":
            del chunks[first]
        elif way == "repeat":
            chunks.insert(second, chunks[first])
        elif way == "exchange":
            chunks[first], chunks[second] = chunks[second], chunks[first]
        else:
            chunks[first] = _flipped(chunks[first], [(other, 3)], len(chunks[first]))
        return data[:8] + b"".join(chunks)

    return change


def _webp_exif(drawn: tuple[bytes, bool]) -> Change:
    """Add an EXIF chunk; its flag in the header is set or not, where there is such a header."""
    block, flag = drawn

    def change(data: bytes) -> bytes:
        body = bytearray(data[8:] + b"EXIF" + struct.pack("<I", len(block)) + block + bytes(len(block) % 2))
        if body[4:8] == b"VP8X":
            body[12] = body[12] | 8 if flag else body[12] & ~8
        return b"RIFF" + struct.pack("<I", len(body)) + bytes(body)

    return change


def _gif_head(drawn: tuple[int, list[int], bytes]) -> Change:
    """Change screen and flags, and put blocks before the first frame."""
    flags, screen, before = drawn

    def change(data: bytes) -> bytes:
        start = 13 + (3 * 2 ** (data[10] % 8 + 1) if data[10] & 0x80 else 0)
        return (
            data[:6] + struct.pack("<HH", *screen) + bytes([data[10] ^ flags]) + data[11:start] + before + data[start:]
        )

    return change


SEGMENTS = st.one_of(
    EXIF.map(lambda block: segment(0xE1, b"Exif\0\0" + block)),
    st.sampled_from([b"\xff\xff\xff", b"\xff\x01", segment(0xFE, b"words"), segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")]),
)
BLOCKS = st.sampled_from(
    [b"", b"\x21\xf9\x04\1\0\0\3\0", b"\x21\xf9\x04\0\0\0\3\0", b"\x21\xfe\x03abc\0", b"\x21\xff\1a\0"]
)
OWN: dict[str, st.SearchStrategy[Change]] = {
    "png": changed_chunks(),
    "jpg": SEGMENTS.map(lambda new: lambda data: data[:2] + new + data[2:]),
    "webp": st.tuples(EXIF, st.booleans()).map(_webp_exif),
    "gif": st.tuples(
        st.sampled_from([0, 0, 0x80, 1]), st.lists(st.integers(0, 200), min_size=2, max_size=2), BLOCKS
    ).map(_gif_head),
}


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """The name of a kind of file, and a file of that kind that was changed once or twice."""
    name = draw(st.sampled_from(sorted(WHOLE)))
    data, own = WHOLE[name], OWN.get(name.rpartition(".")[2])
    if own is not None and draw(st.booleans()):
        data = draw(own)(data)
    if own is None or draw(st.integers(0, 3)) == 0:
        data = draw(st.one_of(ANYWHERE))(data)
    return name, data
