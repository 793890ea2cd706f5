#!/usr/bin/env python3
"""Makes the data files beside this script from what NOTICE.md names.

    make.py profiles PRINTER_DB_JSON RECEIPT_PRINTER_ENCODER_DATA > profiles.txt
    make.py pages PRINTER_DB_JSON > pages.txt
    make.py font TER_U24B_UNICODE.pcf.gz                            (writes cells-12x24.png and cells-12x24.txt)

What it reads is data; nothing of it is run. The output is committed, so a build needs neither this script nor Python.
"""

import gzip
import json
import pathlib
import re
import struct
import subprocess
import sys
import zlib

# ---- code pages --------------------------------------------------------------------------------------------------

# Our name, what Python or iconv calls it, or the printer database's own table. Left out on purpose: pages whose scripts
# need shaping or run from right to left (Thai, Arabic, Vietnamese with loose accents), which are drawn instead, and
# those that makers fill differently (CP851, CP853).
PAGES = [
    ("cp437", "cp437"), ("cp737", "cp737"), ("cp771", "iconv:CP771"), ("cp772", "iconv:CP772"), ("cp774", "iconv:CP774"),
    ("cp775", "cp775"), ("cp850", "cp850"), ("cp852", "cp852"), ("cp855", "cp855"), ("cp857", "cp857"), ("cp858", "cp858"),
    ("cp860", "cp860"), ("cp861", "cp861"), ("cp862", "cp862"), ("cp863", "cp863"), ("cp865", "cp865"), ("cp866", "cp866"),
    ("cp869", "cp869"), ("cp1125", "cp1125"), ("cp3011", "db:CP3011"), ("cp3012", "db:CP3012"),
    ("windows-1250", "cp1250"), ("windows-1251", "cp1251"), ("windows-1252", "cp1252"), ("windows-1253", "cp1253"),
    ("windows-1254", "cp1254"), ("windows-1257", "cp1257"), ("iso8859-1", "iso8859-1"), ("iso8859-2", "iso8859-2"),
    ("iso8859-7", "iso8859-7"), ("iso8859-9", "iso8859-9"), ("iso8859-15", "iso8859-15"), ("rk1048", "kz1048"),
    ("katakana", "db:KATAKANA"),
]
HOLE = "\ufffd"


def table(source, db):
    if source.startswith("db:"):
        rows = "".join(row.ljust(16) for row in db["encodings"][source[3:]]["data"])
        return "".join(HOLE if c in " \0" else c for c in rows.ljust(128))[:128]
    chars = []
    for byte in range(0x80, 0x100):
        if source.startswith("iconv:"):
            got = subprocess.run(["iconv", "-f", source[6:], "-t", "UTF-8"], input=bytes([byte]), capture_output=True)
            text = got.stdout.decode() if got.returncode == 0 else ""
        else:
            text = bytes([byte]).decode(source, "ignore")
        # C1 controls are holes: printers have nothing there, or something of their own.
        usable = len(text) == 1 and not 0x80 <= ord(text) < 0xA0
        chars.append(text if usable else HOLE)
    return "".join(chars)


def pages(db_file):
    db = json.load(open(db_file))
    for name, source in PAGES:
        upper = table(source, db)
        assert len(upper) == 128, name
        print(f"{name} {upper}")


# ---- profiles ----------------------------------------------------------------------------------------------------

# What the two sources call a page, where it is not our name in other letters.
ALIASES = {
    "cp1250": "windows-1250", "cp1251": "windows-1251", "cp1252": "windows-1252", "cp1253": "windows-1253",
    "cp1254": "windows-1254", "cp1257": "windows-1257", "windows1250": "windows-1250", "windows1251": "windows-1251",
    "windows1252": "windows-1252", "windows1253": "windows-1253", "windows1254": "windows-1254",
    "windows1257": "windows-1257", "epson/iso8859-2": "iso8859-2", "epson/katakana": "katakana", "cp928": "iso8859-7",
}


def page_name(given):
    name = given.lower().replace("iso_8859", "iso8859")
    name = ALIASES.get(name, name)
    return name if name in dict(PAGES) else None


# The same printer under its names in the two sources: ours, the printer database's, ReceiptPrinterEncoder's.
SAME = {
    "epson/tm-t20iii": ("TM-T20III", "epson-tm-t20iii"), "epson/tm-t70": ("TM-T70", "epson-tm-t70"),
    "epson/tm-t70ii": ("TM-T70II", "epson-tm-t70ii"), "epson/tm-t88ii": ("TM-T88II", "epson-tm-t88ii"),
    "epson/tm-t88iii": ("TM-T88III", "epson-tm-t88iii"), "epson/tm-t88iv": ("TM-T88IV", "epson-tm-t88iv"),
    "epson/tm-t88v": ("TM-T88V", "epson-tm-t88v"), "metapace/t-1": ("T-1", "metapace-t1"),
    "zjiang/pos-5890": ("POS-5890", "pos-5890"),
}
# Displays are no printers; an impact printer without a table of its own stays.
NOT_PRINTERS = {"AF-240", "OCD-100", "OCD-300"}

# Our own fields, by maker, from makers' manuals; the last that fits counts. `confirm` is the best a maker's manual
# promises; a probe at set-up has the last word.
OURS = [
    ("", {"confirm": "processed", "asb": "yes", "drawer": "unknown", "cancel-kanji": "yes", "guard": "yes"}),
    # These makers' manuals let `GS V 66` feed to the cutter; others are fed by rows, as the encoder's author measured.
    ("epson/", {"confirm": "printed", "cuts": "feeding"}), ("bixolon/", {"cuts": "feeding"}),
    ("citizen/", {"cuts": "feeding"}),
    ("epson/tm-t88iii", {"confirm": "processed"}), ("epson/tm-u220", {"confirm": "processed", "guard": "no"}),
    ("star/", {"confirm": "printed", "cancel-kanji": "no", "guard": "no"}),
    ("zjiang/", {"confirm": "sent", "asb": "no"}), ("netum/", {"confirm": "sent", "asb": "no"}),
    ("youku/", {"confirm": "sent", "asb": "no"}), ("mpt/", {"confirm": "sent", "asb": "no"}),
    ("sunmi/", {"confirm": "sent", "asb": "no"}), ("xprinter/", {"confirm": "processed"}),
]


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def number(value):
    return value if isinstance(value, (int, float)) else None


def from_db(key, profile):
    features = profile["features"]
    names = {"qrCode": "qr", "pdf417Code": "pdf417", "bitImageColumn": "column", "bitImageRaster": "raster",
             "graphics": "graphics", "paperFullCut": "cut", "paperPartCut": "part-cut"}
    has = {ours for theirs, ours in names.items() if features[theirs]}
    if features["barcodeB"]:
        has.add("barcode")
    columns = profile["fonts"]["0"]["columns"]
    dots = number(profile["media"]["width"].get("pixels"))
    facts = {
        "name": f"{profile['vendor']} {profile['name']}",
        # 203 dots an inch are told as 12-dot columns; a count of columns below 16 is a character's width by mistake.
        "columns": columns if columns >= 16 else (dots or 576) // columns,
        "dots": dots, "dpi": number(profile["media"].get("dpi")),
        "has": has,
        "language": "star-line" if features["starCommands"] else "esc-pos",
        "pages": {int(n): name for n, p in profile["codePages"].items() if (name := page_name(p))},
    }
    if facts["language"] == "star-line":
        # Its page numbers are those of ESC/POS emulation; the Star languages count otherwise.
        facts["pages"] = {}
    return facts


def mapping(data, language, name):
    folder = "star-prnt" if language.startswith("star") else "esc-pos"
    found = {}
    for line in (data / "mappings" / folder / f"{name.replace('/', '-')}.txt").read_text().splitlines():
        line = line.split("#")[0].split()
        if len(line) == 2 and (page := page_name(line[1])):
            found[int(line[0], 16)] = page
    return found


def from_encoder(data, profile):
    caps = profile["capabilities"]
    has = {"qr"} if caps.get("qrcode", {}).get("supported") else set()
    has |= {"pdf417"} if caps.get("pdf417", {}).get("supported") else set()
    has |= {"barcode"} if caps.get("barcodes", {}).get("supported") else set()
    if caps["language"] == "esc-pos":
        has |= {"raster", "column"} if "images" not in caps else {"raster"}
    if "cutter" in caps:
        has |= {"cut", "part-cut"}
    font = caps["fonts"]["A"]
    width = int(font.get("size", "12x24").split("x")[0])
    return {
        "name": f"{profile['vendor']} {profile['model']}".strip(), "columns": font["columns"],
        "dots": font["columns"] * width, "dpi": profile["media"]["dpi"], "has": has, "language": caps["language"],
        "pages": mapping(data, caps["language"], caps["codepages"]), "feed": caps.get("cutter", {}).get("feed"),
    }


def choose(name, db, encoder):
    """One printer of two sources, and where they differ. The encoder's data was made by printing on each model, so it
    has the last word on what is printed (languages, columns, code pages); the database on dots, which it measured."""
    if not db or not encoder:
        return dict(db or encoder), []
    differs, facts = [], dict(encoder)
    facts["name"] = db["name"]
    for field in ("language", "columns", "dots", "dpi"):
        taken = db[field] if field == "dots" and db[field] else encoder[field]
        facts[field] = taken
        if db[field] and db[field] != encoder[field]:
            differs.append(f"{field}: {db[field]} or {encoder[field]}, taken {taken}")
    facts["has"] = set(db["has"])
    cuts = {"cut", "part-cut"}
    # The encoder knows a cutter, not which cut, and names the picture it prefers, not those there are.
    silent = {"graphics", "column"} | (cuts if db["has"] & cuts and encoder["has"] & cuts else set())
    for feature in sorted((db["has"] ^ encoder["has"]) - silent):
        # Of a feature that one of them denies nothing is believed: text is always right.
        facts["has"].discard(feature)
        facts["has"] |= {feature} if feature in cuts else set()
        who = "database" if feature in db["has"] else "encoder"
        differs.append(f"{feature}: only the {who} has it, taken {'yes' if feature in facts['has'] else 'no'}")
    for n in sorted(set(db["pages"]) | set(encoder["pages"])):
        one, other = db["pages"].get(n), encoder["pages"].get(n)
        if one and other and one != other:
            # Letters of the wrong page are a wrong receipt; a picture is only slower.
            del facts["pages"][n]
            differs.append(f"page {n}: {one} or {other}, taken neither")
    return facts, differs


def profiles(db_file, data_dir):
    data, db = pathlib.Path(data_dir), json.load(open(db_file))["profiles"]
    encoder = {path.stem: json.loads(path.read_text()) for path in sorted((data / "printers").glob("*.json"))}
    pairs = {name: (db[one], encoder[other]) for name, (one, other) in SAME.items()}
    used_db, used_encoder = ({pair[at] for pair in SAME.values()} for at in (0, 1))
    for key, profile in db.items():
        if key not in used_db and key not in NOT_PRINTERS:
            vendor = {"star-micronics": "star"}.get(slug(profile["vendor"]), slug(profile["vendor"]).split("-")[0])
            pairs[f"{vendor}/{slug(key)}"] = (profile, None)
    for key, profile in encoder.items():
        if key not in used_encoder:
            vendor = slug(profile["vendor"]) or "zjiang"
            pairs[f"{vendor}/{slug(profile['model'])}"] = (None, profile)
    written = {}
    out = []
    for name in sorted(pairs):
        one, other = pairs[name]
        facts, differs = choose(name, one and from_db(name, one), other and from_encoder(data, other))
        ours = {}
        for prefix, fields in OURS:
            if name.startswith(prefix):
                ours.update(fields)
        facts["dots"] = facts["dots"] or facts["columns"] * 12
        if facts["language"].startswith("star") and not facts["pages"]:
            facts["pages"] = mapping(data, "star-prnt", "star")
        text = " ".join(f"{n}:{page}" for n, page in sorted(facts["pages"].items()))
        if text not in written:
            written[text] = f"m{len(written)}"
            out.append(f"pages {written[text]} {text}".rstrip())
        source = "+".join(s for s, given in (("database", one), ("encoder", other)) if given)
        out.append(f"printer {name}")
        out.append(f" name {facts['name'].strip()}")
        out.append(f" from {source}")
        out.append(f" language {facts['language']}")
        out.append(f" columns {facts['columns']}")
        out.append(f" dots {facts['dots']}")
        if facts["dpi"]:
            out.append(f" dpi {facts['dpi']}")
        out.append(f" pages {written[text]}")
        out.append(" has " + " ".join(sorted(facts["has"])))
        if facts.get("feed") is not None:
            out.append(f" feed-before-cut {facts['feed']}")
        out += [f" {field} {value}" for field, value in ours.items()]
        out += [f" differs {line}" for line in differs]
    print("# Made by make.py from the sources in NOTICE.md: CC-BY-4.0 (changed: chosen, renamed, merged) and MIT.")
    print("\n".join(out))


# ---- the cell font -----------------------------------------------------------------------------------------------


def pcf(file):
    """Glyphs of a PCF font by character: 24 rows of 12 dots, as strings of 0 and 1."""
    data = gzip.open(file).read()
    (count,) = struct.unpack("<I", data[4:8])
    tables = {}
    for n in range(count):
        kind, form, _, offset = struct.unpack("<IIII", data[8 + 16 * n : 24 + 16 * n])
        tables[kind] = (">" if form & 4 else "<", form, offset + 4)
    e, form, at = tables[4]
    assert form & 0x100, "metrics are expected to be compressed"
    (glyphs,) = struct.unpack(e + "H", data[at : at + 2])
    metrics = [[b - 0x80 for b in data[at + 2 + 5 * n : at + 7 + 5 * n]] for n in range(glyphs)]
    assert all(m[:1] + m[2:5] == [0, 12, 19, 5] for m in metrics), "every glyph is 12 by 24"
    e, form, at = tables[8]
    stride = 1 << (form & 3)
    assert stride >= 2 and form & 8
    offsets = struct.unpack(e + f"{glyphs}I", data[at + 4 : at + 4 + 4 * glyphs])
    bits = at + 4 + 4 * glyphs + 16
    e, form, at = tables[32]
    low, high, first, last, _ = struct.unpack(e + "5H", data[at : at + 10])
    at += 10
    font = {}
    for row in range(first, last + 1):
        for column in range(low, high + 1):
            (glyph,) = struct.unpack(e + "H", data[at : at + 2])
            at += 2
            if glyph != 0xFFFF:
                lines = [data[bits + offsets[glyph] + stride * y :][:2] for y in range(24)]
                font[row * 256 + column] = [f"{line[0]:08b}{line[1]:08b}"[:12] for line in lines]
    return font


def png(rows):
    height, width = len(rows), len(rows[0])
    packed = b"".join(b"\0" + int(row, 2).to_bytes(width // 8, "big") for row in rows)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(packed, 9)) + chunk(b"IEND", b"")


def font(file):
    # The bold one: a printer's dots are as heavy.
    glyphs = pcf(file)
    # Braille, controls, spaces and what has no width of its own are of no use on a receipt.
    chars = [
        c for c in sorted(glyphs)
        if c > 0x20 and not (0x7F <= c <= 0xA0 or c == 0xAD or 0x300 <= c <= 0x36F
            or 0x2000 <= c <= 0x200F or 0x2028 <= c <= 0x202F or 0x2060 <= c <= 0x206F or 0x2800 <= c <= 0x28FF or c >= 0xF000)
    ]
    sheet = []
    for start in range(0, len(chars), 64):
        row = [glyphs[c] for c in chars[start : start + 64]]
        row += [["0" * 12] * 24] * (64 - len(row))
        sheet += ["".join(glyph[y] for glyph in row) for y in range(24)]
    here = pathlib.Path(__file__).parent
    (here / "cells-12x24.png").write_bytes(png(sheet))
    (here / "cells-12x24.txt").write_text("".join(map(chr, chars)), encoding="utf-8")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
