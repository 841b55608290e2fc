"""What a dataset may hold: picture types, captions, layouts, tables, encodings, limits. One table for all.

The check and the repair read these names directly. The page that takes a dataset writes `as_json()` into a
`<script type="application/json" id="accepted-files">` with Django's `json_script`, and the browser's own
check reads it from there. Its shape (endings are lower case and begin with a dot, bytes are hexadecimal):

    pictures    [{name, label, endings, renamed, magic, trains, converts}]
                `magic` is a list of alternatives, each a list of [offset, bytes] that must all match;
                `renamed` are endings of this type that a packed copy replaces by the first of `endings`;
                `trains`: taken as it is in a ZIP; `converts`: a packed or repaired copy has a PNG instead
    captions    {ending, renamed, names, placeholder}: `.txt`, other endings that a copy renames, file names
                of a caption in the folder of its pair, and a pattern of words in brackets that are no text
    encodings   {marks: [[bytes, encoding]], guesses: [encoding]}, the names as TextDecoder knows them
    halves      {start, end}: words at the end of a file name, or as the name of a folder
    guesses     [[start, end]]: endings that mean a pair only if a person confirms it
    numbered    words of `halves` that may be numbered, such as control1 and control2
    tables      {files, endings, captions, start, end, general}: names of tables of pairs, which are read
                before others of these endings, their columns with the caption, and columns of the input and
                target image besides the words of `halves`. A `general` column says neither: its folder or
                the other column does, else it is the target, and a person confirms it
    junk        {files, folders, notes}: names, lower case, that systems leave behind; `notes` are the stems
                of text files about the dataset. A name that begins with a dot is junk, too
    limits      {files, pixels, image_bytes, caption_bytes, table_bytes, caption_length, inputs, small,
                few, shape}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Magic = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True)
class PictureType:
    """A type of picture; `name` is Pillow's, `label` is how a sentence calls a file of it."""

    name: str
    label: str
    endings: tuple[str, ...]
    magic: tuple[Magic, ...]
    renamed: tuple[str, ...] = ()
    trains: bool = False
    converts: bool = True


def _at_start(*magic: bytes) -> tuple[Magic, ...]:
    return tuple(((0, each),) for each in magic)


def _brands(*brands: bytes) -> tuple[Magic, ...]:
    """ISO containers, whose brand follows a size and “ftyp”."""
    return tuple(((4, b"ftyp" + brand),) for brand in brands)


PICTURES = (
    PictureType(
        "JPEG",
        "a JPEG picture",
        (".jpg", ".jpeg"),
        _at_start(b"\xff\xd8\xff"),
        (".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo"),
        trains=True,
        converts=False,
    ),
    PictureType(
        "PNG",
        "a PNG picture",
        (".png",),
        _at_start(b"\x89PNG\r\n\x1a\n"),
        (".apng",),
        trains=True,
        converts=False,
    ),
    PictureType("WEBP", "a WebP picture", (".webp",), (((0, b"RIFF"), (8, b"WEBP")),), trains=True),
    PictureType("AVIF", "an AVIF picture", (".avif", ".avifs"), _brands(b"avif", b"avis")),
    PictureType(
        "HEIF",
        "a HEIC picture",
        (".heic", ".heif", ".hif"),
        _brands(b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"),
    ),
    PictureType("GIF", "a GIF picture", (".gif",), _at_start(b"GIF87a", b"GIF89a")),
    PictureType("BMP", "a BMP picture", (".bmp", ".dib"), _at_start(b"BM")),
    PictureType("TIFF", "a TIFF picture", (".tif", ".tiff"), _at_start(b"II*\0", b"MM\0*")),
    PictureType("SVG", "an SVG drawing", (".svg",), (), converts=False),
    PictureType(
        "JPEG2000",
        "a JPEG 2000 picture",
        (".jp2", ".j2k", ".jpx"),
        _at_start(b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
        converts=False,
    ),
    PictureType(
        "JXL",
        "a JPEG XL picture",
        (".jxl",),
        _at_start(b"\0\0\0\x0cJXL ", b"\xff\x0a"),
        converts=False,
    ),
    PictureType("PSD", "a Photoshop file", (".psd", ".psb"), _at_start(b"8BPS"), converts=False),
    PictureType(
        "RAW", "a camera’s raw picture", (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf"), (), converts=False
    ),
)
IMAGE_ENDINGS = frozenset(ending for each in PICTURES for ending in each.endings + each.renamed)
READABLE = tuple(each.name for each in PICTURES if each.trains or each.converts)

CAPTION_ENDING = ".txt"
RENAMED_CAPTIONS = (".caption", ".captions", ".cap", ".prompt", ".text", ".tags", ".json")
CAPTION_NAMES = ("caption", "prompt", "instruction")
# `[trigger]` of ai-toolkit, `[name]` and `[filewords]` of others: their own trainers put words there.
_TRIGGER = "trigger(?:[ _-]?word)?"
PLACEHOLDER = (
    rf"\[(?:{_TRIGGER}|name|filewords|concept|subject|class|token)\]|<{_TRIGGER}>"
    rf"|\{{\{{ ?(?:{_TRIGGER}|name|caption|prompt) ?\}}\}}|\{{(?:{_TRIGGER}|name|caption|prompt)\}}"
)

# Marks in this order, since the mark of UTF-16 begins that of UTF-32.
MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16le"),
    (b"\xfe\xff", "utf-16be"),
)
GUESSED_ENCODINGS = ("shift_jis", "gb18030", "big5", "euc-kr", "euc-jp", "windows-1251", "windows-1252")

START = (
    *("start", "before", "control", "condition", "conditioning", "cond", "input", "source", "original"),
    *("reference", "controls", "conditions", "inputs", "sources", "originals", "references"),
)
END = (
    *("end", "after", "target", "output", "edited", "result"),
    *("targets", "outputs", "edits", "results"),
)
GUESSES = (
    ("r", "t"),
    ("a", "b"),
    ("x", "y"),
    ("in", "out"),
    ("pre", "post"),
    ("src", "dst"),
    ("src", "tgt"),
    ("old", "new"),
    ("orig", "edit"),
    ("ref", "gt"),
    ("ref", "tgt"),
)
NUMBERED = ("control", "condition", "conditioning", "cond", "input", "source", "reference", "start")

TABLES = ("metadata.jsonl", "metadata.csv")
TABLE_ENDINGS = (".jsonl", ".csv", ".tsv")
CAPTION_COLUMNS = ("prompt", "caption", "instruction", "edit_prompt", "edit_instruction", "text")
START_COLUMNS = ("kontext_images", "edit_image", "input_image", "control_image")
END_COLUMNS = ("edited_image", "edited", "output_image", "target_image")
GENERAL_COLUMNS = ("image", "file_name", "filename", "path")

JUNK_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
JUNK_FOLDERS = (
    "__macosx",
    "meta-inf",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
)
NOTES = ("readme", "read me", "read_me", "license", "licence", "changelog", "notes", "note", "credits")

MAX_FILES = 20_000
MAX_PIXELS = 50_000_000
MAX_BYTES = 100_000_000
MAX_CAPTION = 64 * 1024
MAX_TABLE = 4 * 1024**2
LONG_CAPTION = 2_000
MOST_INPUTS = 10  # of a pair; no known trainer takes more (docs/provider-fal.md, 9.2)
SMALL = 256
FEW_PAIRS = 5
SHAPE_TOLERANCE = 0.01


def as_json() -> dict[str, Any]:
    """The table as plain data for `json_script`; the module's docstring tells its shape."""
    return {
        "pictures": [{**vars(each), "magic": _hexadecimal(each.magic)} for each in PICTURES],
        "captions": {
            "ending": CAPTION_ENDING,
            "renamed": RENAMED_CAPTIONS,
            "names": CAPTION_NAMES,
            "placeholder": PLACEHOLDER,
        },
        "encodings": {
            "marks": [[mark.hex(), encoding] for mark, encoding in MARKS],
            "guesses": GUESSED_ENCODINGS,
        },
        "halves": {"start": START, "end": END},
        "guesses": GUESSES,
        "numbered": NUMBERED,
        "tables": {
            "files": TABLES,
            "endings": TABLE_ENDINGS,
            "captions": CAPTION_COLUMNS,
            "start": START_COLUMNS,
            "end": END_COLUMNS,
            "general": GENERAL_COLUMNS,
        },
        "junk": {"files": JUNK_FILES, "folders": JUNK_FOLDERS, "notes": NOTES},
        "limits": {
            "files": MAX_FILES,
            "pixels": MAX_PIXELS,
            "image_bytes": MAX_BYTES,
            "caption_bytes": MAX_CAPTION,
            "table_bytes": MAX_TABLE,
            "caption_length": LONG_CAPTION,
            "inputs": MOST_INPUTS,
            "small": SMALL,
            "few": FEW_PAIRS,
            "shape": SHAPE_TOLERANCE,
        },
    }


def _hexadecimal(magic: tuple[Magic, ...]) -> list[list[list[int | str]]]:
    return [[[offset, each.hex()] for offset, each in alternative] for alternative in magic]
