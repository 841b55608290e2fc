"""Names of pairs that the programs of several countries store without the flag of UTF-8."""

from __future__ import annotations

NAMES = {
    "cp932": ["帽表", "ソ", "猫", "予定表", "能力"],
    "gb18030": ["帽子", "图片", "猫", "风景", "大头"],
    "big5": ["圖片", "貓", "功能", "照片", "帽子"],
    "cp949": ["고양이", "모자", "사진", "집", "한국"],
    "cp437": ["größe", "café", "niño", "schön", "Übung"],
    "cp1250": ["żółw", "książka", "święto", "mąż", "łąka"],
    "cp852": ["růže", "kůň", "žlutý", "říše", "děti"],
    "cp1251": ["кот", "шапка", "дом", "зима", "лето"],
}
