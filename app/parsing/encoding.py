"""Which encoding a text is in, and reading it as a stream of clean text."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from charset_normalizer import from_bytes

BLOCK = 64 * 1024
_SAMPLE = 32 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The lead bytes under which each double-byte encoding keeps its commonest characters (kana, first level of
# Han, the usual Hangul, punctuation). A text read in the wrong one of them falls outside.
_COMMON_LEADS: dict[str, tuple[range, ...]] = {
    "cp932": (range(0x81, 0x84), range(0x88, 0x98)),
    "euc_jp": (range(0xA1, 0xA2), range(0xA4, 0xA6), range(0xB0, 0xD0)),
    "cp949": (range(0xA1, 0xA2), range(0xB0, 0xC9)),
    "gb18030": (range(0xA1, 0xA4), range(0xB0, 0xD8)),
    "big5": (range(0xA1, 0xA2), range(0xA4, 0xC7)),
}
_LOW_TRAILS = {"cp932", "big5"}
_KANA = re.compile("[\u3041-\u30ff]")
_SINGLE_BYTE = [
    *(f"cp{page}" for page in (1252, 1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258, 874, 437, 850, 866)),
    *("koi8_r", "koi8_u", "iso8859_2", "iso8859_5", "iso8859_7", "iso8859_15", "mac_roman"),
]


def by_mark(head: bytes) -> str | None:
    """Encoding by byte order mark, or by the NUL bytes that every UTF-16 text in a Latin script has."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    sample = head[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = max(1, len(sample) // 2)
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def encoding_of(head: bytes, whole: bool) -> str | None:
    """Name the encoding of a text from its first bytes; None when it is no text.

    ``whole`` says that ``head`` is the entire file; otherwise its last character may be cut.
    """
    marked = by_mark(head)
    if marked:
        return marked
    if b"\x00" in head:
        return None
    return _as_utf8(head, whole) or _guess(head)


def _as_utf8(head: bytes, whole: bool) -> str | None:
    """UTF-8 if the bytes are valid, or nearly: a few broken characters in a text full of good ones."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        text = head.decode("utf-8", errors="replace")
        broken = text.count("\ufffd")
        good = sum(char > "\x7f" for char in text) - broken
        return "utf-8" if good > 8 * broken else None
    return "utf-8"


def _guess(head: bytes) -> str | None:
    first = next((i for i, byte in enumerate(head) if byte > 0x7F), 0)
    start = max(0, first - _SAMPLE // 8)
    sample = head[start : start + _SAMPLE]
    if b"\x1b$" in sample and not first:
        return "iso2022_jp"
    asian = _east_asian(sample)
    if asian:
        return asian
    best = from_bytes(sample, cp_isolation=_SINGLE_BYTE).best()
    western = from_bytes(sample, cp_isolation=["cp1252"]).best()
    if best is None or western is None:
        return best.encoding if best is not None else None
    likely = western.chaos <= best.chaos and western.coherence >= best.coherence
    return western.encoding if likely else best.encoding


def _east_asian(sample: bytes) -> str | None:
    """The double-byte encoding in which nearly all foreign characters are common ones, if there is one."""
    scores: list[tuple[float, str]] = []
    for name in _COMMON_LEADS:
        text = codecs.getincrementaldecoder(name)("replace").decode(sample)
        foreign = [char for char in text if char > "\x7f"]
        if not foreign or text.count("\ufffd") > 0.02 * len(foreign):
            continue
        share = sum(_is_common(char, name) for char in foreign) / len(foreign)
        kana = len(_KANA.findall(text)) / len(foreign) if name == "euc_jp" else 0
        # Korean text is also valid and common as GB 18030, Japanese text in EUC too, but not the other way.
        scores.append((share + (0.04 if name == "cp949" else 0.05 * (kana > 0.1)), name))
    best = max(scores, default=(0.0, ""))
    return best[1] if best[0] > 0.85 else None


def _is_common(char: str, encoding: str) -> bool:
    pair = char.encode(encoding, errors="replace")
    if len(pair) != 2 or (pair[1] < 0xA1 and encoding not in _LOW_TRAILS):
        return False
    return any(pair[0] in leads for leads in _COMMON_LEADS[encoding])


def blocks(file: BinaryIO, encoding: str) -> Iterator[str]:
    """Decode ``file`` from its start in blocks; what does not decode becomes the replacement character."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    file.seek(0)
    while block := file.read(BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)
