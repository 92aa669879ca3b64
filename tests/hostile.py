"""A thousand broken and hostile pictures, by a seed: what any folder of photos may hold, and worse."""

import random
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from io import BytesIO

import numpy as np
from PIL import Image

NUM = 1000
File = tuple[str, bytes]


def photo(rng: random.Random, mode: str = "RGB", size: tuple[int, int] = (96, 72)) -> Image.Image:
    """A picture with edges, noise and plain places."""
    field = np.random.default_rng(rng.randrange(2**32))
    patches = Image.fromarray(field.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(patches).astype(int) + field.integers(-20, 20, (size[1], size[0], 3))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L"), dtype=np.uint16) * 257)
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def kinds(rng: random.Random) -> dict[str, bytes]:
    """A whole file of each kind that is read."""
    draw = partial(photo, rng)

    def several(kind: str, mode: str = "RGB") -> bytes:
        return saved(draw(mode), kind, save_all=True, append_images=[draw(mode), draw(mode)])

    return {
        "jpg": saved(draw(), "JPEG"),
        "progressive.jpg": saved(draw(), "JPEG", progressive=True),
        "cmyk.jpg": saved(draw("CMYK"), "JPEG"),
        "restarts.jpg": saved(draw(), "JPEG", restart_marker_rows=1, subsampling=0),
        "mpo.jpg": several("MPO"),
        "png": saved(draw(), "PNG"),
        "alpha.png": saved(draw("RGBA"), "PNG"),
        "palette.png": saved(draw("P"), "PNG", transparency=3),
        "deep.png": saved(draw("I;16"), "PNG"),
        "animated.png": several("PNG"),
        "gif": saved(draw(), "GIF"),
        "animated.gif": several("GIF"),
        "webp": saved(draw(), "WEBP"),
        "lossless.webp": saved(draw("RGBA"), "WEBP", lossless=True),
        "animated.webp": several("WEBP"),
        "tif": saved(draw(), "TIFF"),
        "lzw.tif": saved(draw(), "TIFF", compression="tiff_lzw"),
        "jpeg.tif": saved(draw(), "TIFF", compression="jpeg"),
        "deep.tif": saved(draw("I;16"), "TIFF", compression="tiff_adobe_deflate"),
        "several.tif": several("TIFF"),
        "bmp": saved(draw(), "BMP"),
        "palette.bmp": saved(draw("P"), "BMP"),
        "avif": saved(draw(), "AVIF"),
        "animated.avif": several("AVIF", "RGBA"),
    }


def damaged(rng: random.Random, whole: dict[str, bytes], number: int) -> Iterator[File]:
    """Cut files short, flip their bits, in their headers or anywhere, and exchange their blocks."""
    names = sorted(whole)
    for file_number in range(number):
        name = names[file_number % len(names)]
        data = bytearray(whole[name])
        way = ("cut", "flip", "flips", "header", "block", "zeros")[file_number // len(names) % 6]
        if way == "cut":
            del data[rng.randrange(len(data)) :]
        elif way in ("block", "zeros"):
            start, length = rng.randrange(len(data)), rng.randrange(1, 400)
            data[start : start + length] = bytes(length) if way == "zeros" else rng.randbytes(length)
        else:
            reach = min(len(data), 200) if way == "header" else len(data)
            for _ in range({"flip": 1, "flips": 40, "header": 4}[way]):
                data[rng.randrange(reach)] ^= 1 << rng.randrange(8)
        yield f"{way}_{file_number:03d}.{name}", bytes(data)


def impostors(rng: random.Random) -> Iterator[File]:
    """Files of other kinds, called pictures; and what begins as a picture does."""
    html, postscript = b"<!DOCTYPE html><html><body>404 Not Found", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    texts = {
        "html": html,
        "eps": postscript + b"showpage\n",
        "pdf": b"%PDF-1.7\n1 0 obj",
        "empty": b"",
        "byte": b"\xff",
    }
    texts |= {
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "zip": b"PK\x03\x04" + bytes(60),
    }
    texts |= {"text": b"a boot", "heic": b"\0\0\0\x18ftypheic" + bytes(99), "xbm": b"#define im_width 9\n"}
    for name in ("ICO", "PPM", "TGA", "PCX", "JPEG2000", "DDS", "SGI", "ICNS"):
        texts[name] = saved(photo(rng), name)
    for name, data in texts.items():
        yield f"{name}.jpg", data
    magic = {"jpg": b"\xff\xd8\xff\xe0", "png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF89a", "bmp": b"BM", "tif": b"II*\0"}
    magic |= {
        "webp": b"RIFF\xff\xff\0\0WEBPVP8X",
        "avif": b"\0\0\0\x1cftypavif",
        "be.tif": b"MM\0*",
        "big.tif": b"II+\0",
    }
    for name, start in magic.items():
        for number in range(4):
            yield f"random_{number}.{name}", start + rng.randbytes(rng.choice([9, 200, 5000]))


def chunk(name: bytes, data: bytes, length: int | None = None) -> bytes:
    """A chunk of a PNG, whose length may be a lie."""
    return (
        struct.pack(">I", len(data) if length is None else length)
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
    )


def pngs(rng: random.Random, whole: bytes) -> Iterator[File]:
    """PNGs whose chunks are bombs or lies."""
    head, rest = whole[:33], whole[33:]
    bomb = zlib.compress(bytes(10**8), 9)
    inserted = {
        "text": chunk(b"tEXt", b"Comment\0" + b"x" * 5 * 10**6),
        "texts": chunk(b"tEXt", b"Comment\0" + b"x" * 50_000) * 2000,
        "ztxt_bomb": chunk(b"zTXt", b"Comment\0\0" + bomb),
        "itxt_bomb": chunk(b"iTXt", b"Comment\0\x01\0\0\0" + bomb),
        "ztxt_bombs": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**6))) * 300,
        "iccp_bomb": chunk(b"iCCP", b"icc\0\0" + bomb),
        "exif": chunk(b"eXIf", b"MM\0*" + rng.randbytes(500)),
        "lie": chunk(b"tEXt", b"a\0b", 2**31 - 1),
        "negative": chunk(b"tEXt", b"a\0b", 2**32 - 1),
        "palette": chunk(b"PLTE", bytes(3 * 400)),
        "frames": chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)),
        "no_frames": chunk(b"acTL", struct.pack(">II", 0, 0)),
        "empty": chunk(b"IDAT", b"") * 50_000,
    }
    for name, data in inserted.items():
        yield f"chunk_{name}.png", head + data + rest
    for name, width, height, depth, colour in (
        ("huge", 2**31 - 1, 2**31 - 1, 8, 2), ("wide", 2**31 - 1, 1, 8, 6), ("none", 0, 9, 8, 2), ("odd", 9, 9, 7, 9),
        ("negative", 2**32 - 1, 2**32 - 1, 1, 0), ("deep", 96, 72, 16, 6), ("interlaced", 9999, 9999, 16, 6),
    ):  # fmt: skip
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, name == "interlaced")
        yield f"header_{name}.png", whole[:8] + chunk(b"IHDR", header) + rest
    yield (
        "bomb.png",
        whole[:8] + whole[8:33] + chunk(b"IDAT", bomb) + rest,
    )


def segment(marker: int, data: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpegs(rng: random.Random, whole: bytes) -> Iterator[File]:
    """JPEGs whose segments are nonsense or too many."""
    start, rest = whole[:2], whole[2:]
    directory = b"Exif\0\0MM\0*\0\0\0\x08"
    orientation = partial(struct.pack, ">HHIHH", 0x0112)
    inserted = {
        f"orientation_{value}": directory + b"\0\x01" + orientation(3, 1, value, 0) + bytes(4)
        for value in (0, 5, 9, 65535)
    }
    inserted |= {
        "orientation_text": directory + b"\0\x01" + orientation(2, 4, 0x4142, 0) + bytes(4),
        "orientation_many": directory + b"\0\x01" + orientation(3, 2**32 - 1, 6, 0) + bytes(4),
        "loop": directory + b"\0\x01" + orientation(3, 1, 6, 0) + b"\0\0\0\x08",
        "many_tags": directory + b"\xff\xff" + rng.randbytes(50_000),
        "short": b"Exif\0\0MM",
        "byte_order": b"Exif\0\0ZZ*\0" + bytes(20),
        "rational": directory + b"\0\x01" + struct.pack(">HHII", 0x011A, 5, 1, 26) + bytes(12),
        "pointers": directory
        + b"\0\x02"
        + struct.pack(">HHII", 0x8769, 4, 1, 8)
        + struct.pack(">HHII", 0x8825, 4, 1, 8),
        "icc": b"ICC_PROFILE\0\x01\xff" + rng.randbytes(900),
        "mpf": b"MPF\0II*\0\x08\0\0\0\x01\0\x01\xb0\x04\0\x01\0\0\0\xff\xff\xff\xff" + bytes(4),
    }
    inserted |= {f"exif_{number}": directory + rng.randbytes(rng.randrange(2, 900)) for number in range(12)}
    for name, data in inserted.items():
        yield f"segment_{name}.jpg", start + segment(0xE2 if name in ("icc", "mpf") else 0xE1, data) + rest
    yield "comments.jpg", start + segment(0xFE, bytes(65_000)) * 300 + rest
    yield "tables.jpg", start + segment(0xDB, b"\0" + b"\x01" * 64) * 20_000 + rest
    yield "zip_behind.jpg", whole + b"PK\x03\x04" + rng.randbytes(9999)
    yield "fill.jpg", start + b"\xff" * 10**6 + rest
    frame = whole.index(b"\xff\xc0") + 5
    for height, width in ((65500, 65500), (0, 96), (72, 0), (65500, 1), (7200, 9600)):
        yield f"header_{width}x{height}.jpg", whole[:frame] + struct.pack(">HH", height, width) + whole[frame + 4 :]


def scans(pixels: int, number: int) -> bytes:
    """A progressive JPEG whose last scan is repeated, which each time passes over the whole picture."""
    side = int(pixels**0.5)
    whole = saved(Image.new("L", (side, side), 99), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * number + whole[-2:]


def tiffs() -> Iterator[File]:
    """TIFFs with absurd tags."""
    plain = {256: 96, 257: 72, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 72, 279: 96 * 72}
    absurd = {
        "huge": {256: 2**31 - 1, 257: 2**31 - 1}, "wide": {256: 65000, 257: 1}, "none": {256: 0}, "bits": {258: 65535},
        "samples": {277: 60000}, "strips": {278: 0}, "strip": {278: 2**32 - 1}, "beyond": {273: 2**32 - 9},
        "count": {279: 2**32 - 1}, "kind": {259: 34712}, "photo": {262: 32803}, "planes": {284: 2, 277: 4},
        "tiles": {322: 2**31 - 16, 323: 2**31 - 16, 324: 8, 325: 99}, "tile": {322: 0, 323: 0, 324: 8, 325: 0},
        "lzw": {259: 5}, "jpeg": {259: 7}, "fax": {259: 4}, "webp": {259: 50001}, "zstd": {259: 50000},
        "lzma": {259: 34925},
        "predictor": {259: 8, 317: 3}, "float": {339: 3, 258: 32}, "palette": {262: 3}, "cmyk": {262: 5, 277: 4},
    }  # fmt: skip
    for name, changes in absurd.items():
        tags = sorted((plain | changes).items())
        directory = struct.pack("<H", len(tags)) + b"".join(
            struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags
        )
        for behind, following in (("", 0), ("_loop", 8 + 96 * 72)):
            yield (
                f"tag_{name}{behind}.tif",
                (
                    struct.pack("<2sHI", b"II", 42, 8 + 96 * 72)
                    + bytes(96 * 72)
                    + directory
                    + struct.pack("<I", following)
                ),
            )


def strips() -> Iterator[File]:
    """Pictures of one row or one column."""
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"):
        length = 16_383 if kind in ("WEBP", "AVIF") else 65_000
        for size in ((length, 1), (1, length)):
            image = Image.new("RGB", size, (200, 90, 30))
            yield f"strip_{size[0]}x{size[1]}.{kind.lower()}", saved(image, kind)


MODES = {
    "JPEG": ("L", "RGB", "CMYK"), "PNG": ("1", "L", "LA", "RGB", "RGBA", "P", "I;16"), "GIF": ("L",), "BMP": ("P",),
    "WEBP": ("RGB", "RGBA"), "AVIF": ("RGB", "RGBA"), "TIFF": ("RGB", "RGBA", "I;16"),
}  # fmt: skip
FAST: dict[str, dict[str, object]] = {
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "WEBP": {"lossless": True, "method": 0},
    "AVIF": {"speed": 10},
}
# How many times fewer pixels are read of a kind than of JPEG.
SHARES = {"JPEG": 1, "WEBP": 4, "AVIF": 4}


def large(rng: random.Random, max_pixels: int) -> Iterator[File]:
    """Files of just as many pixels as are allowed, and of some more, plain ones and noise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, modes in MODES.items():
        side = int((max_pixels // SHARES.get(kind, 2)) ** 0.5)
        options = FAST.get(kind, {})
        for mode in modes:
            more = {"transparency": 0} if mode == "P" and kind == "PNG" else {}
            yield f"large_{mode}.{kind.lower()}", saved(Image.new(mode, (side, side)), kind, **options, **more)
        over = Image.new(modes[0], (side + 99, side))
        yield f"larger.{kind.lower()}", saved(over, kind, **options)
        if kind in ("JPEG", "PNG", "WEBP"):
            yield f"large_turned.{kind.lower()}", saved(over.crop((0, 0, side, side)), kind, exif=exif, **options)
        if kind in ("JPEG", "PNG", "WEBP", "AVIF"):
            tile = np.frombuffer(rng.randbytes(256 * 256 * 3), dtype=np.uint8).reshape(256, 256, 3)
            noise = Image.fromarray(np.tile(tile, (side // 256 + 1, side // 256 + 1, 1))[:side, :side])
            yield f"large_noise.{kind.lower()}", saved(noise, kind, method=0, speed=10, compress_level=1)
    side = int(max_pixels**0.5)
    plain = Image.new("RGB", (side, side), (9, 99, 200))
    yield "large_turned_progressive.jpg", saved(plain, "JPEG", progressive=True, exif=exif)
    yield "large_full_progressive.jpg", saved(plain, "JPEG", progressive=True, subsampling=0)
    for number, share in ((12, 1), (500, 1), (120, 10), (1190, 100), (5000, 100)):
        yield f"scans_{number}_of_{share}.jpg", scans(max_pixels // share, number)


def costly(max_pixels: int) -> Iterator[File]:
    """Small files that would cost a decoder much: more pixels than are allowed, or everything many times over."""
    side = int(max_pixels**0.5)
    yield "bomb.webp", saved(Image.new("RGB", (side, side)), "WEBP", lossless=True)
    frame = saved(Image.new("L", (2 * side, 2 * side)), "GIF")
    yield "frame_beyond_its_screen.gif", frame[:6] + struct.pack("<HH", 10, 10) + frame[10:]
    screen = saved(Image.new("L", (10, 10)), "GIF")
    yield "screen.gif", screen[:6] + struct.pack("<HH", 65_535, 65_535) + screen[10:]
    still = saved(Image.new("L", (300, 300), 9), "GIF")
    start = still.index(b",\0\0\0\0")
    yield "frames_2000.gif", still[:start] + still[start:-1] * 2000 + b";"
    yield "frames_of_other_sizes.gif", still[:-1] + frame[frame.index(b",\0\0\0\0") : -1] + b";"
    yield "blocks_of_1.gif", still[:-2] + b"\1\0" * 500_000 + b"\0;"
    yield "scans_2000.jpg", scans(max_pixels // 50, 2000)
    baseline = saved(Image.new("RGB", (side // 12, side // 12)), "JPEG")
    scan = baseline[baseline.index(b"\xff\xda") : -2]
    yield "scans_2000_sequential.jpg", baseline[:-2] + scan * 2000 + b"\xff\xd9"


def hostile(seed: int, max_pixels: int) -> Iterator[File]:
    """Make NUM files.

    Args:
        seed: of all that is random.
        max_pixels: how many a picture may have; the largest have just as many.

    Yields:
        Names, which say what is wrong, and contents.
    """
    rng = random.Random(seed)
    whole = kinds(rng)
    number = 0
    for part in (
        ((f"whole.{name}", data) for name, data in whole.items()),
        impostors(rng), pngs(rng, whole["png"]), jpegs(rng, whole["jpg"]), tiffs(), strips(), large(rng, max_pixels),
        costly(max_pixels),
    ):  # fmt: skip
        for name, data in part:
            number += 1
            yield name, data
    yield from damaged(rng, whole, NUM - number)
