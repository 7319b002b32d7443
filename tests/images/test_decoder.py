"""Image files in memory: sound ones come out as of OpenCV; damaged and oversized ones are refused in silence."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from support.pictures import file, jpeg_that_promises, picture

from cmt_seg_ros.errors import FrameError
from cmt_seg_ros.images.decoder import MAX_SCANS, decode, header_size

COLOR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def noisy(height: int = 96, width: int = 128) -> np.ndarray:
    """A picture with enough detail that every part of a jpeg matters."""
    noise = np.random.default_rng(0).integers(0, 40, (height, width, 3))
    return (picture(height, width) // 2 + noise).astype(np.uint8)


def jpeg(*options: int, image: np.ndarray | None = None) -> bytes:
    return file(noisy() if image is None else image, "jpg", *options).tobytes()


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def taken(data: bytes, flags: int = COLOR) -> np.ndarray:
    return decode(array(data), flags)


def refused(data: bytes) -> FrameError:
    with pytest.raises(FrameError) as caught:
        taken(data)
    return caught.value


PLAIN = jpeg()
RESTARTS = jpeg(cv2.IMWRITE_JPEG_RST_INTERVAL, 4)
PROGRESSIVE = jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
END = b"\xff\xd9"


def without_tables(data: bytes) -> bytes:
    """As USB cameras send them: the standard Huffman tables are left out."""
    while (at := data.find(b"\xff\xc4")) >= 0:
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    return data


def before_marker(data: bytes, marker: bytes, extra: bytes) -> bytes:
    at = data.rindex(marker)
    return data[:at] + extra + data[at:]


SOUND = {
    "plain": PLAIN,
    "poor": jpeg(cv2.IMWRITE_JPEG_QUALITY, 5),
    "best": jpeg(cv2.IMWRITE_JPEG_QUALITY, 100),
    "own tables": jpeg(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "no tables": without_tables(PLAIN),
    "progressive": PROGRESSIVE,
    "restarts": RESTARTS,
    "4:2:2": jpeg(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
    "4:4:4": jpeg(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    "grey": jpeg(image=noisy()[:, :, 0]),
    "odd sides": jpeg(image=noisy(61, 83)),
    "one block": jpeg(image=noisy(3, 5)),
    "zeros behind it": PLAIN + bytes(5000),
    "ones behind it": PLAIN + b"\xff" * 64,
    "text behind it": PLAIN + b"end\n",
    "second picture behind it": PLAIN + RESTARTS,
    "film behind it": PLAIN + b"\xff\xda" * 500,
    "thumbnail before it": PLAIN[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(RESTARTS)) + RESTARTS + PLAIN[2:],
    "filled up": PLAIN[:2] + b"\xff\xff" + PLAIN[2:-2] + b"\xff\xff" + END,
    # Logitech C270 and others.
    "few bytes before the end": before_marker(PLAIN, END, b"\x12" * 9),
    "few bytes before a restart": before_marker(RESTARTS, b"\xff\xd3", b"\x12" * 2),
    "sampling 3x1": PLAIN.replace(b"\x03\x01\x22\x00", b"\x03\x01\x31\x00", 1),
}  # fmt: skip


@pytest.mark.parametrize("data", SOUND.values(), ids=SOUND)
def test_sound_jpeg_is_decoded_as_opencv_does(data: bytes) -> None:
    if b"\x03\x01\x31\x00" in data:  # its pixels are those of another sampling: it is about being taken
        assert taken(data).shape == (96, 128, 3)
        return
    found = taken(data)
    np.testing.assert_array_equal(found, cv2.imdecode(array(data), COLOR))
    assert header_size(array(data)) == found.shape[:2]
    grey = taken(data, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(grey, cv2.imdecode(array(data), cv2.IMREAD_UNCHANGED))


def gap(data: bytes, size: int) -> bytes:
    middle = len(data) * 2 // 3
    return data[:middle] + data[middle + size :]


@pytest.mark.parametrize("data", [PLAIN, PROGRESSIVE, RESTARTS], ids=["plain", "progressive", "restarts"])
@pytest.mark.parametrize("tenths", range(1, 10))
def test_truncated_jpeg_is_refused(data: bytes, tenths: int, capfd: pytest.CaptureFixture[str]) -> None:
    begin = data.index(b"\xff\xda") + 14
    half = data[: begin + (len(data) - begin) * tenths // 10]
    missing = bytes(len(data) - len(half) - 2)
    for damaged in (half, half + END, half + missing, half + missing + END):
        error = refused(damaged)
        assert error.reason == "malformed" and "the jpeg is damaged" in str(error)
    assert capfd.readouterr() == ("", "")


def test_jpeg_with_a_gap_is_refused() -> None:
    assert "Corrupt JPEG data" in str(refused(gap(PLAIN, 1000)))
    assert "Corrupt JPEG data" in str(refused(before_marker(PLAIN, END, b"\x12" * 40)))


def test_camera_that_fills_up_is_no_excuse_for_a_missing_end() -> None:
    """The thumbnail's end is not the picture's."""
    odd = SOUND["thumbnail before it"]
    at = odd.index(b"\xff\xdb", len(RESTARTS))
    odd = odd[:at] + b"\x12" * 3 + odd[at:]
    taken(odd)
    assert "damaged" in str(refused(odd[:-2]))


# Size

SMALL_FRAME = b"\xff\xc0\x00\x11\x08\x00\x30\x00\x40\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
HUGE = jpeg_that_promises(20_000, 20_000).tobytes()
COMMENT = b"\xff\xfe" + struct.pack(">H", 2 + len(SMALL_FRAME)) + SMALL_FRAME
HIDDEN = {
    **{f"FF {m:02X}": b"\xff\xd8\xff" + bytes([m]) + COMMENT + HUGE[2:] for m in (1, *range(0xD0, 0xD8))},
    "bytes between": b"\xff\xd8\xff\xfe\x00\x02between" + HUGE[2:],
    "length 0": b"\xff\xd8\xff\xfe\x00\x00" + HUGE[2:],
    "length 1": b"\xff\xd8\xff\xfe\x00\x01" + HUGE[2:],
    "stuffed": b"\xff\xd8\xff\xfe\x00\x02\xff\x00\xff\x00" + HUGE[2:],
    "second size smaller": HUGE.replace(b"\xff\xda", SMALL_FRAME + b"\xff\xda", 1),
}


@pytest.mark.parametrize("data", HIDDEN.values(), ids=HIDDEN)
def test_size_of_a_jpeg_is_found_where_libjpeg_finds_it(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simplejpeg.decode_jpeg", None)
    monkeypatch.setattr(cv2, "imdecode", None)
    assert header_size(array(data)) == (20_000, 20_000)
    assert refused(data).reason == "too_large"


def test_second_size_is_no_way_around_the_limit() -> None:
    at = HUGE.index(b"\xff\xc0")
    assert refused(HUGE[:at] + SMALL_FRAME + HUGE[at:]).reason == "malformed"


def test_decoder_s_own_header_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simplejpeg.decode_jpeg_header", lambda *_, **__: (9000, 9000, "YCbCr", "420"))
    assert refused(PLAIN).reason == "too_large"


def with_scans(count: int) -> bytes:
    """One scan a component again and again: each takes the time of a whole image."""
    at = PROGRESSIVE.index(b"\xff\xda")
    end = PROGRESSIVE.index(b"\xff\xc4", at)
    return PROGRESSIVE[:at] + PROGRESSIVE[at:end] * count + PROGRESSIVE[at:]


def test_endless_progressive_jpeg_is_refused() -> None:
    assert f"scans, {MAX_SCANS} are allowed" in str(refused(with_scans(MAX_SCANS)))


FORMATS = {
    "webp": file(noisy(), "webp", cv2.IMWRITE_WEBP_QUALITY, 80),
    "webp lossless": file(noisy(), "webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "webp alpha": file(np.dstack([noisy(), noisy()[:, :, 0]]), "webp", cv2.IMWRITE_WEBP_QUALITY, 80),
    "bmp": file(noisy(), "bmp"),
    "tiff": file(noisy(), "tiff"),
    "png": file(noisy(), "png"),
}


@pytest.mark.parametrize("data", FORMATS.values(), ids=FORMATS)
def test_size_of_every_format_is_read_in_its_header(data: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    assert decode(data, COLOR).shape == (96, 128, 3)
    assert header_size(data) == (96, 128)
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(FrameError, match="image is 128x96 = 12288 pixels; max_image_px allows 12287"):
        decode(data, COLOR, 12287)
    for end in range(0, 60):
        header_size(data[:end])  # does not raise


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(50), b"P6 4 4 255 " + bytes(48)])
def test_other_formats_are_refused(data: bytes) -> None:
    assert "expected a jpeg, png, webp, bmp or tiff" in str(refused(data))


# PNG


def block(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def inserted(*blocks: bytes) -> bytes:
    """A png with blocks behind its header."""
    data = FORMATS["png"].tobytes()
    return data[:33] + b"".join(blocks) + data[33:]


@pytest.mark.parametrize(
    "extra",
    [
        block(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000), 9)),
        block(b"iCCP", b"k\0\0" + zlib.compress(bytes(1_000_000), 9)),
        block(b"acTL", struct.pack(">II", 2**31 - 1, 0)) + block(b"fcTL", bytes(4)),
        block(b"tEXt", b"damaged")[:-1] + b"\0",
    ],
    ids=["text", "profile", "animation", "damaged text"],
)
def test_png_is_decoded_without_what_its_pixels_do_not_need(extra: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    np.testing.assert_array_equal(taken(inserted(extra)), noisy())
    assert capfd.readouterr() == ("", "")


def test_transparency_of_a_png_is_kept() -> None:
    data = file(np.dstack([noisy(), noisy()[:, :, 0]]), "png").tobytes()
    assert taken(data, cv2.IMREAD_UNCHANGED).shape == (96, 128, 4)


@pytest.mark.parametrize("tenths", range(1, 10))
def test_damaged_png_is_refused(tenths: int, capfd: pytest.CaptureFixture[str]) -> None:
    data = FORMATS["png"].tobytes()
    at = len(data) * tenths // 10
    assert "the end of the png is missing" in str(refused(data[:at]))
    assert "block IDAT of the png is damaged" in str(refused(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]))
    assert capfd.readouterr() == ("", "")


# Anything


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["plain", "restarts", "progressive", "png", "webp", "tiff", "bmp"])
def test_damage_of_any_kind_ends_in_an_error_or_in_the_size_of_the_header(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = array(SOUND[name]) if name in SOUND else FORMATS[name]
    for _ in range(25):
        data = whole.copy()
        reach = rng.choice([40, 200, len(data)])  # in the header more often than elsewhere
        for at in rng.integers(3, min(reach, len(data)), rng.integers(1, 6)):
            data[at] = rng.integers(256)
        if rng.random() < 0.3:
            data = data[: rng.integers(len(data))]
        try:
            found = decode(data, COLOR, 1_000_000)
        except FrameError:
            continue
        assert header_size(np.ascontiguousarray(data)) == found.shape[:2]
