"""Odd picture files that tests draw: what cameras, editors and broken disks make, each by the bytes of its format."""

import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pictures import draw, saved
from PIL import Image

WIDTH, HEIGHT = 90, 60
COLOUR = np.asarray(draw(1, (WIDTH, HEIGHT)))
GREY = np.tile(np.arange(WIDTH, dtype=np.uint8) * 255 // (WIDTH - 1), (HEIGHT, 1))
GREYS = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1).tobytes()
LONG_TEXT = b"workflow\0\0" + zlib.compress(b'{"node": 1}' * 200_000)


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(depth: int, colours: int, rows: Sequence[bytes], extra: bytes = b"", end: bytes = b"") -> bytes:
    """A PNG of WIDTH x HEIGHT pixels, with further chunks before its pixels and behind them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, colours, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + end + chunk(b"IEND", b"")


def packed(values: NDArray[np.int64], depth: int) -> list[bytes]:
    """Rows of numbers of 1, 2, 4 or 12 bits."""
    texts = ["".join(format(int(value), f"0{depth}b") for value in row) for row in values]
    return [int(text + "0" * (-len(text) % 8), 2).to_bytes((len(text) + 7) // 8, "big") for text in texts]


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def exif_of(value: int, kind: int = 3, count: int = 1, big_endian: bool = True) -> bytes:
    """An EXIF block whose orientation tag has a type and a count of one's choice."""
    order = ">" if big_endian else "<"
    number = struct.pack(order + ("I" if kind in (4, 9) else "H"), value).ljust(4, b"\0")
    start = (b"MM" if big_endian else b"II") + struct.pack(order + "HI", 42, 8)
    return start + struct.pack(order + "HHHI", 1, 0x0112, kind, count) + number + bytes(4)


def raw_profile(block: bytes) -> bytes:
    """A chunk of text that holds EXIF as ImageMagick writes it."""
    return chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n" % len(block) + block.hex().encode())
    )


def compressed(indices: NDArray[np.uint8]) -> bytes:
    """A GIF's blocks of pixels, in codes that never grow: the table is cleared in time."""
    codes = [256]
    for number, index in enumerate(indices.ravel().tolist()):
        codes += [256, index] if number and number % 250 == 0 else [index]
    bits = "".join(format(code, "09b")[::-1] for code in [*codes, 257])
    data = bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))
    blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"\x08" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif_of(screen: tuple[int, int], corner: tuple[int, int], indices: NDArray[np.uint8], control: bytes = b"") -> bytes:
    """A GIF of one frame in greys, anywhere on its screen."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0xF7, 0, 0) + GREYS + control
    return head + b"," + struct.pack("<HHHHB", *corner, *indices.shape[::-1], 0) + compressed(indices) + b";"


def tiff_of(content: bytes, tags: dict[int, int]) -> bytes:
    """A TIFF of WIDTH x HEIGHT pixels, with tags of one's choice."""
    base = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: HEIGHT, 279: len(content)}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted((base | tags).items())]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return struct.pack("<2sHI", b"II", 42, 8 + len(content)) + content + directory


RGB_ROWS = [row.tobytes() for row in COLOUR]
PNG = png_of(8, 2, RGB_ROWS)
JPEG = saved(draw(1, (WIDTH, HEIGHT)), "JPEG", quality=95)
XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"></x:xmpmeta>'
DEEP_GREY = GREY.astype(np.uint16) * 257
DEEP_ROWS = [row.astype(">u2").tobytes() for row in DEEP_GREY]
DEEP_RGB = [row.astype(">u2").tobytes() for row in COLOUR.astype(np.uint16) * 257]
CLEAR = b"\x21\xf9\x04\x01\0\0\xff\0"


def without_flag(webp: bytes) -> bytes:
    """A WebP whose header forgets to announce its EXIF."""
    return webp[:20] + bytes([webp[20] & ~8]) + webp[21:]


def changed(data: bytes, position: int) -> bytes:
    """A file with one byte changed."""
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def orientations() -> Iterator[tuple[str, bytes]]:
    """Pictures whose orientation tag is odd, or stands where no viewer looks."""
    for kind in (1, 2, 3, 4, 8, 9):
        yield f"jpeg, orientation of type {kind}", JPEG[:2] + segment(0xE1, b"Exif\0\0" + exif_of(6, kind)) + JPEG[2:]
        yield f"png, orientation of type {kind}", png_of(8, 2, RGB_ROWS, chunk(b"eXIf", exif_of(6, kind)))
    yield "jpeg, orientation twice", JPEG[:2] + segment(0xE1, b"Exif\0\0" + exif_of(6, 3, 2)) + JPEG[2:]
    yield "jpeg, orientation in XMP alone", JPEG[:2] + segment(0xE1, XMP) + JPEG[2:]
    yield "png, orientation in XMP alone", png_of(8, 2, RGB_ROWS, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP))
    yield "png, orientation in a raw profile", png_of(8, 2, RGB_ROWS, raw_profile(exif_of(6)))
    yield "png, orientation behind the pixels", png_of(8, 2, RGB_ROWS, end=chunk(b"eXIf", exif_of(6)))
    webp = saved(draw(1, (WIDTH, HEIGHT)), "WEBP", exif=b"Exif\0\0" + exif_of(6))
    yield "webp, orientation", webp
    yield "webp, orientation that the header forgets", without_flag(webp)


def seen_alike() -> dict[str, bytes]:
    """Odd files that both ways read, and must see alike."""
    white = GREY >> 6
    return dict(orientations()) | {
        "png, 16-bit grey, white transparent": png_of(16, 0, DEEP_ROWS, chunk(b"tRNS", b"\xff\xff")),
        "png, 2-bit grey, white transparent": png_of(2, 0, packed(white, 2), chunk(b"tRNS", b"\0\3")),
        "png, 4-bit grey, one level transparent": png_of(4, 0, packed(GREY >> 4, 4), chunk(b"tRNS", b"\0\7")),
        "png, 2-bit grey, tRNS damaged": png_of(2, 0, packed(white, 2), changed(chunk(b"tRNS", b"\0\3"), 9)),
        "png, 16-bit colour, one transparent": png_of(16, 2, DEEP_RGB, chunk(b"tRNS", DEEP_RGB[0][:6])),
        "png, 2 MB of text": png_of(8, 2, RGB_ROWS, chunk(b"zTXt", LONG_TEXT)),
        "png, 9 MB of text": png_of(8, 2, RGB_ROWS, chunk(b"tEXt", b"a\0" + bytes(9_000_000))),
        "png, 2 MB of profile": png_of(8, 2, RGB_ROWS, chunk(b"iCCP", LONG_TEXT)),
        "png, text damaged": png_of(8, 2, RGB_ROWS, changed(chunk(b"tEXt", b"a\0b"), 9)),
        "gif, screen larger than its frame": gif_of((WIDTH + 40, HEIGHT + 20), (0, 0), GREY),
        "gif, frame inside its screen": gif_of((WIDTH + 40, HEIGHT + 20), (30, 10), GREY),
        "gif, frame beyond its screen": gif_of((10, 10), (5, 5), GREY),
        "gif, white transparent": gif_of((WIDTH + 4, HEIGHT), (2, 0), GREY, CLEAR),
        "jpeg, cut and closed": JPEG[: len(JPEG) * 6 // 10] + b"\xff\xd9",
    }


def refused_by_both() -> dict[str, bytes]:
    """Files that neither way may read."""
    pixels = PNG.index(b"IDAT")
    short = png_of(8, 2, RGB_ROWS[:-1])
    return {
        "png without IEND": PNG[:-12],
        "png with zeros for an end": PNG[:-12] + bytes(12),
        "png, checksum of the pixels wrong": changed(PNG, len(PNG) - 20),
        "png, checksum of the header wrong": changed(PNG, 29),
        "png, a row missing": short,
        "png, pixels without a checksum of their own": PNG[: pixels - 4]
        + chunk(b"IDAT", PNG[pixels + 4 : -20])
        + PNG[-12:],
        "png, unknown chunk that is needed": png_of(8, 2, RGB_ROWS, chunk(b"ABCD", b"")),
        "png, palette missing": png_of(8, 3, [row.tobytes() for row in GREY]),
        "gif, cut in its first frame": gif_of((WIDTH, HEIGHT), (0, 0), GREY)[:1500],
        "jpeg, lossless": JPEG.replace(b"\xff\xc0", b"\xff\xc3", 1),
    }


def bmp_of(depth: int, compression: int = 0) -> bytes:
    """A BMP of 16 bits per pixel, or one that says that it is compressed."""
    row = (WIDTH * depth // 8 + 3) // 4 * 4
    head = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, depth, compression, row * HEIGHT, 0, 0, 0, 0)
    palette = bytes(4 * 256) if depth == 8 else b""
    pixels = bytes(row * HEIGHT) if not compression else b"\x5a\x07\0\0" * HEIGHT + b"\0\1"
    return (
        b"BM" + struct.pack("<IHHI", 54 + len(palette) + len(pixels), 0, 0, 54 + len(palette)) + head + palette + pixels
    )


def read_by_one() -> dict[str, bytes]:
    """Whole files of kinds that one of the two cannot read, and damaged ones that their decoders judge differently."""
    image = draw(1, (WIDTH, HEIGHT))
    return {
        "TIFF": saved(image, "TIFF"),
        "AVIF": saved(image, "AVIF"),
        "WebP, animated": saved(image, "WEBP", save_all=True, append_images=[draw(2, (WIDTH, HEIGHT))]),
        "BMP, 1 bit a pixel": saved(image.convert("1"), "BMP"),
        "BMP, 16 bits per pixel": bmp_of(16),
        "BMP, compressed": bmp_of(8, 1),
        "BMP with bytes behind its pixels": saved(image, "BMP") + bytes(99),
        "GIF whose compressed pixels are damaged": changed(saved(image, "GIF"), 850),
    }


def tiffs_misread() -> dict[str, tuple[bytes, str]]:
    """TIFFs that Pillow opens and misreads, and what the refusal names."""
    deep = (GREY.astype(np.uint32) * 16843009).astype("<u4").tobytes()
    planes = np.moveaxis(COLOUR.astype(np.uint16) * 257, 2, 0).tobytes()
    return {
        "12 bits": (tiff_of(b"".join(packed(GREY.astype(int) * 4095 // 255, 12)), {258: 12}), "12 bits"),
        "32 bits": (tiff_of(deep, {258: 32}), "32 bits"),
        "floating-point": (tiff_of((GREY / 255).astype("<f4").tobytes(), {258: 32, 339: 3}), "floating-point"),
        "signed": (tiff_of(DEEP_GREY.astype("<u2").tobytes(), {258: 16, 339: 2}), "signed"),
        "CIE L*a*b*": (tiff_of(COLOUR.tobytes(), {262: 8, 277: 3}), "colours of its own"),
        "planes of 16 bits": (tiff_of(planes, {258: 16, 262: 2, 277: 3, 284: 2}), "holds each colour apart"),
    }


def grey_16_white_is_zero() -> bytes:
    """A TIFF of 16-bit grey that counts from white to black."""
    return tiff_of((65535 - DEEP_GREY).astype("<u2").tobytes(), {258: 16, 262: 0})


def heic() -> bytes:
    """The head of a picture as iPhones save it."""
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


def with_xmp_tiff() -> bytes:
    """A TIFF whose XMP alone asks for a turn."""
    image = Image.fromarray(COLOUR)
    return saved(image, "TIFF", tiffinfo={700: XMP.partition(b"\0")[2]})
