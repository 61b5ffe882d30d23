"""What a file that is no image seems to be, by its first bytes, for messages."""

from __future__ import annotations

_VIDEO = "a video"


def _broken(kind: str) -> str:
    return f"a {kind} that is damaged or of a kind that cannot be read"


_SIGNS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", _broken("PNG")),
    (b"\xff\xd8", _broken("JPEG")),
    (b"GIF8", _broken("GIF")),
    (b"II*\0", _broken("TIFF")),
    (b"MM\0*", _broken("TIFF")),
    (b"BM", _broken("BMP")),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "a Photoshop file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "an RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"\0\0\x01\xba", _VIDEO),
    (b"\0\0\x01\xb3", _VIDEO),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "HDF5"),
    (b"MATLAB", "a MATLAB file"),
    (b"\x7fELF", "a program"),
)
_WEB = (("<svg", "an SVG drawing"), ("<!doctype html", "a web page"), ("<html", "a web page"))
_HEIC = (b"heic", b"heix", b"mif1", b"msf1", b"hevc")


def content_of(head: bytes) -> str:
    """What a file holds that begins with some bytes, as a noun with its article."""
    if head[:4] == b"RIFF":
        return {b"AVI ": _VIDEO, b"WAVE": "a sound", b"WEBP": _broken("WebP")}.get(head[8:12], "unknown content")
    if head[4:8] == b"ftyp":
        return "an HEIC photograph" if head[8:12] in _HEIC else _broken("AVIF") if head[8:11] == b"avi" else _VIDEO
    known = next((name for sign, name in _SIGNS if head.startswith(sign)), None)
    if known is not None:
        return known
    if not head.strip(b"\0"):
        return "zeros alone"
    return _text(head) or "unknown content"


def _text(head: bytes) -> str | None:
    try:
        # A character may be cut at the end.
        text = head.decode("utf-8-sig", errors="strict" if len(head) < 512 else "ignore").lower()
    except UnicodeDecodeError:
        return None
    if any(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text):
        return None
    return next((name for sign, name in _WEB if sign in text), "text")
