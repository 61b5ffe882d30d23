"""Any image file is the same upright picture; anything else is one clear line."""

import io
import os
import socket
import struct
import zipfile
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from data_prep import image_file
from data_prep.image_file import read_image
from tff_affect.errors import InputError

# EXIF 2.32, tag 274: what a viewer does to the stored rows to show them upright, undone.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.T,
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].T,
    8: lambda upright: np.rot90(upright, -1),
}


def picture(rows=48, columns=60, seed=0):
    """Smooth, from black to white, as bytes; no two of its eight orientations are alike."""
    coarse = np.random.default_rng(seed).normal(size=(5, 6)).astype(np.float32)
    fine = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.round(255 * (fine - fine.min()) / np.ptp(fine)).astype(np.uint8)


def as_lab(image):
    rgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.profileToProfile(image.convert("RGB"), rgb, lab, outputMode="LAB")


def lossless(mode, name="PNG", **options):
    return lambda grey: (Image.fromarray(grey).convert(mode), name, options, 0.002)


def coloured(mode, name, tolerance, **options):
    return lambda grey: (Image.fromarray(grey).convert("RGB").convert(mode), name, options, tolerance)


def numbers(kind, factor, name="TIFF"):
    return lambda grey: (Image.fromarray((grey * np.float64(factor)).astype(kind)), name, {}, 0.002)


KINDS = {
    "L png": lossless("L"),
    "L bmp": lossless("L", "BMP"),
    "L pgm": lossless("L", "PPM"),
    "L tiff": lossless("L", "TIFF"),
    "L pcx": lossless("L", "PCX"),
    "L sgi": lossless("L", "SGI"),
    "LA png": lossless("LA"),
    "P gif": lossless("P", "GIF"),
    "P png": lossless("P"),
    "PA tiff": lambda grey: (Image.fromarray(grey).convert("P").convert("PA"), "TIFF", {}, 0.002),
    "RGB png": lossless("RGB"),
    "RGB jpeg 2000": lossless("RGB", "JPEG2000"),
    "RGB jpeg": coloured("RGB", "JPEG", 0.06, quality=95),
    "RGB webp": coloured("RGB", "WEBP", 0.002, lossless=True),
    "RGB avif": coloured("RGB", "AVIF", 0.08, quality=95),
    "RGBA png": lossless("RGBA"),
    "RGBA webp": coloured("RGBA", "WEBP", 0.002, lossless=True),
    "CMYK tiff": coloured("CMYK", "TIFF", 0.006),
    "CMYK jpeg": coloured("CMYK", "JPEG", 0.06, quality=95),
    "YCbCr tiff": coloured("YCbCr", "TIFF", 0.006),
    "LAB tiff": lambda grey: (as_lab(Image.fromarray(grey)), "TIFF", {}, 0.006),
    "I;16 png": numbers(np.uint16, 257, "PNG"),
    "I;16 tiff": numbers(np.uint16, 257),
    "I pgm": numbers(np.int32, 257, "PPM"),
    "I tiff of bytes": numbers(np.int32, 1),
    "I tiff of 16 bits": numbers(np.int32, 257),
    "I tiff": numbers(np.int32, (2**31 - 1) / 255),
    "F tiff": numbers(np.float32, 1 / 255),
    "F tiff of bytes": numbers(np.float32, 1),
    "F pfm": numbers(np.float32, 1 / 255, "PPM"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_mode_is_the_same_picture(kind, tmp_path):
    grey = picture()
    image, name, options, tolerance = KINDS[kind](grey)
    image.save(tmp_path / "picture", name, **options)
    found = read_image(tmp_path / "picture")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, grey / 255, atol=tolerance)
    assert 0 <= found.min() <= found.max() <= 1


WITH_EXIF = [kind for kind in KINDS if kind.split()[1] in ("png", "tiff", "webp", "jpeg") and "2000" not in kind]


@given(
    kind=st.sampled_from(WITH_EXIF),
    rows=st.integers(16, 70),
    columns=st.integers(16, 70),
    orientation=st.sampled_from(sorted(STORED)),
)
def test_any_mode_size_and_rotation_is_the_same_upright_picture(tmp_path_factory, kind, rows, columns, orientation):
    grey = picture(rows, columns)
    image, name, options, tolerance = KINDS[kind](np.ascontiguousarray(STORED[orientation](grey)))
    exif = Image.Exif()
    exif[274] = orientation
    file = tmp_path_factory.mktemp("exif") / "picture"
    image.save(file, name, exif=exif, **options)
    np.testing.assert_allclose(read_image(file), grey / 255, atol=tolerance)


def test_every_rotation_is_another_picture():
    stored = [STORED[way](picture(20, 20)).tobytes() for way in STORED]
    assert len(set(stored)) == 8


def test_one_bit_is_black_and_white(tmp_path):
    grey = np.where(picture() > 127, 255, 0).astype(np.uint8)
    Image.fromarray(grey).convert("1").save(tmp_path / "picture.png")
    np.testing.assert_array_equal(read_image(tmp_path / "picture.png"), grey / 255)


def test_colours_are_weighed_by_luma(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    Image.fromarray(np.repeat(np.array([colours], np.uint8), 20, axis=0).repeat(20, axis=1)).save(tmp_path / "c.png")
    found = read_image(tmp_path / "c.png")[0, ::20]
    np.testing.assert_allclose(found, [0.299, 0.587, 0.114, 0.886], atol=0.003)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA"])
def test_what_is_transparent_lies_over_mid_grey(mode, tmp_path):
    grey, opacity = picture(), np.tile(np.linspace(0, 255, 60).astype(np.uint8), (48, 1))
    if mode == "PA":
        opacity = np.where(opacity > 127, 255, 0).astype(np.uint8)
    image = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(opacity)])
    if mode == "PA":
        image = Image.fromarray(grey).convert("P").convert("PA")
        image.putalpha(Image.fromarray(opacity))
    image.convert(mode).save(tmp_path / "picture.tif")
    expected = opacity / 255 * (grey / 255) + (1 - opacity / 255) * 0.5
    np.testing.assert_allclose(read_image(tmp_path / "picture.tif"), expected, atol=0.005)


def test_a_transparent_grey_of_16_bits_is_mid_grey(tmp_path):
    values = picture().astype(np.uint16) * 257
    Image.fromarray(values).save(tmp_path / "p.png", transparency=int(values[5, 5]))
    found = read_image(tmp_path / "p.png")
    np.testing.assert_allclose(found, np.where(values == values[5, 5], 0.5, values / 65535), atol=1e-6)


@pytest.mark.parametrize(("name", "ending"), [("GIF", ""), ("GIF", ".jpg"), ("JPEG", ".gif"), ("TIFF", ".happy")])
def test_the_content_says_what_a_file_is(name, ending, tmp_path):
    grey = picture(243, 320)
    Image.fromarray(grey).save(tmp_path / f"subject01{ending}", name)
    np.testing.assert_allclose(read_image(tmp_path / f"subject01{ending}"), grey / 255, atol=0.06)


@pytest.mark.parametrize("name", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_of_several_frames_is_taken(name, tmp_path):
    first, second = (Image.fromarray(picture(seed=seed)) for seed in (0, 1))
    options = {"lossless": True} if name == "WEBP" else {}
    first.save(tmp_path / "frames", name, save_all=True, append_images=[second], **options)
    np.testing.assert_allclose(read_image(tmp_path / "frames"), np.asarray(first) / 255, atol=0.002)


def tiff(values, sample_format, photometric=1, bits=None):
    """A TIFF written by hand (TIFF 6.0): little-endian, one strip, one sample."""
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    bits = bits or values.dtype.itemsize * 8
    tags = [(256, values.shape[1]), (257, values.shape[0]), (258, bits), (259, 1), (262, photometric), (273, 8)]
    tags += [(277, 1), (278, values.shape[0]), (279, len(data)), (339, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def twelve_bits(values):
    pairs = values.astype(np.uint32).reshape(-1, 2)
    packed = pairs[:, 0] << 12 | pairs[:, 1]
    return np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=1).astype(np.uint8).tobytes()


def test_the_depth_says_what_white_is(tmp_path):
    grey = picture()
    wide = grey.astype(np.float64) / 255
    cases = {
        "unsigned 32": tiff((wide * (2**32 - 1)).astype(np.uint32), 1),
        "signed 32": tiff((wide * (2**31 - 1)).astype(np.int32), 2),
        "signed 16": tiff((wide * (2**15 - 1)).astype(np.int16), 2),
        "white is zero, 16": tiff((65535 - wide * 65535).astype(np.uint16), 1, photometric=0),
        "white is zero, float": tiff((1 - wide).astype(np.float32), 3, photometric=0),
        "white is zero, 8": tiff(255 - grey, 1, photometric=0),
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        np.testing.assert_allclose(read_image(tmp_path / name), wide, atol=0.001, err_msg=name)
    packed = np.frombuffer(twelve_bits(np.round(wide * 4095)), np.uint8).reshape(48, 90)
    content = tiff(packed, 1, bits=12).replace(struct.pack("<HHII", 256, 4, 1, 90), struct.pack("<HHII", 256, 4, 1, 60))
    (tmp_path / "12").write_bytes(content)
    np.testing.assert_allclose(read_image(tmp_path / "12"), wide, atol=0.001)


def png_header(width, height):
    """A PNG that says how large it is, and ends there."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + end


def content(image, name="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def zipped():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("face.png", b"x" * 100)
    return stream.getvalue()


def filled(value, kind=np.float32):
    values = (picture() / 255).astype(kind)
    values[3, 4] = value
    return content(Image.fromarray(values), "TIFF")


GREY = Image.fromarray(picture())
RGB = GREY.convert("RGB")
BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"not an image\n", "found text"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
    "postscript, which would start a program": (content(GREY, "EPS"), "PostScript"),
    "zip": (zipped(), "ZIP"),
    "gzip": (b"\x1f\x8b\x08" + bytes(40), "gzip"),
    "mp4": (b"\0\0\0\x18ftypisom" + bytes(100), "video"),
    "avi": (b"RIFF\0\0\0\0AVI LIST", "video"),
    "matroska": (b"\x1aE\xdf\xa3" + bytes(60), "video"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
    "zeros": (bytes(4096), "zeros"),
    "noise": (np.random.default_rng(0).bytes(4096), "unknown content"),
    "numpy": (b"\x93NUMPY\x01\0v\0{", "NumPy"),
    "png signature alone": (b"\x89PNG\r\n\x1a\n", "PNG that is damaged"),
    "broken png header": (content(GREY)[:14] + b"\xff" * 20 + content(GREY)[34:], "PNG that is damaged"),
    "header without pixels": (png_header(60, 48), "damaged or cut short"),
    "a bomb": (png_header(200_000, 200_000), "at most 100,000,000 pixels"),
    "a smaller bomb": (png_header(10_001, 10_000), "at most 100,000,000 pixels"),
    "too small": (content(GREY.resize((15, 200))), "at least 16 pixels a side, found 15x200"),
    "one grey": (content(Image.new("L", (40, 40), 90)), "same grey"),
    "transparent all over": (content(Image.new("RGBA", (40, 40), (9, 9, 9, 0))), "same grey"),
    "nan": (filled(np.nan), "NaN"),
    "infinite": (filled(np.inf), "infinite"),
    "negative": (filled(-0.5), "found -0.5 to 1"),
    "too bright": (filled(1e6), "found 0 to 1e\\+06"),
    "negative integers": (tiff(picture().astype(np.int32) - 9, 2), "found -9"),
    "more samples than there are": (
        tiff(picture(), 1).replace(struct.pack("<HHII", 277, 4, 1, 1), struct.pack("<HHII", 277, 4, 1, 9)),
        "TIFF that is damaged",
    ),
    "checksum": (content(GREY).replace(b"IDAT", b"IDAx"), "damaged"),
    **{
        f"{name} cut short": (content(image, name)[: len(content(image, name)) * 2 // 3], "cut short|damaged")
        for name, image in {
            "PNG": RGB, "JPEG": RGB, "GIF": GREY, "BMP": GREY, "PPM": GREY, "WEBP": RGB, "AVIF": RGB, "SGI": GREY,
            "JPEG2000": RGB, "PCX": GREY, "TIFF": RGB,
        }.items()
    },
}  # fmt: skip


def refused(file, words, capfd, recwarn):
    with pytest.raises(InputError, match=words) as error:
        read_image(file)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)
    assert ";" in error.value.reason
    assert tuple(capfd.readouterr()) == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_image_is_one_line(case, tmp_path, capfd, recwarn, caplog):
    data, words = BROKEN[case]
    file = tmp_path / "face.png"
    file.write_bytes(data)
    refused(file, words, capfd, recwarn)
    assert not caplog.records


def test_there_are_many_broken_ones():
    assert len(BROKEN) >= 35


def dangling(path):
    path.symlink_to(path.parent / "nothing")


def looped(path):
    path.symlink_to(path.name)


def listening(path):
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(path))


PLACES = {
    "missing": (lambda path: None, "No such file"),
    "folder": (lambda path: path.mkdir(), "found a folder"),
    "dangling link": (dangling, "leads nowhere"),
    "link to itself": (looped, "leads nowhere"),
    "pipe": (os.mkfifo, "a pipe or a device"),
    "socket": (listening, "cannot read"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device"),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_file_is_one_line_and_not_waited_for(place, tmp_path, capfd, recwarn, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    make, words = PLACES[place]
    make(tmp_path / "f.png")
    refused(tmp_path / "f.png", words, capfd, recwarn)


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, capfd, recwarn, monkeypatch):
    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "face.png").write_bytes(content(GREY))
    with monkeypatch.context() as patch:
        patch.setattr(image_file.os, "open", forbidden)
        refused(tmp_path / "face.png", "Permission denied", capfd, recwarn)


def test_exif_that_cannot_be_read_turns_nothing(tmp_path, capfd, recwarn):
    RGB.save(tmp_path / "face.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\x01\x00", quality=95)
    np.testing.assert_allclose(read_image(tmp_path / "face.jpg"), picture() / 255, atol=0.06)
    assert tuple(capfd.readouterr()) == ("", "")
    assert not recwarn.list


@given(kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 2**32 - 1))
def test_whatever_is_damaged_is_a_picture_or_one_line(tmp_path_factory, kind, seed):
    rng = np.random.default_rng(seed)
    image, name, options, _ = KINDS[kind](picture(20, 24))
    for _ in range(10):
        data = bytearray(content(image, name, **options))
        for place in rng.integers(0, len(data), 4) if rng.random() < 0.5 else rng.integers(0, min(60, len(data)), 3):
            data[place] = rng.integers(256)
        file = tmp_path_factory.mktemp("damaged") / "picture"
        file.write_bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data)
        try:
            found = read_image(file)
        except InputError:
            continue
        assert found.dtype == np.float32
        assert 0 <= found.min() < found.max() <= 1
