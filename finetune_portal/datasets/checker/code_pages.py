"""Guess the code page of names and captions that are not UTF-8: one for all of them together.

A code page is a candidate if it decodes every text. Each letter that it makes scores by how likely people
write it, so that the right code page stands out: common characters score high, rare characters and
characters of a foreign script between Latin letters score low.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from finetune_portal.datasets.checker.messages import name_list

# Python's name of the code page, and the standard set in which its usual characters have low lead bytes.
EAST_ASIAN = {"cp932": "shift_jis", "gb18030": "gb2312", "big5": "big5", "cp949": "euc_kr"}
# The last lead byte of usual characters, the others being rare.
USUAL_LEADS = {"shift_jis": 0x97, "gb2312": 0xD7, "big5": 0xC6, "euc_kr": 0xC8}
IN_NAMES = (*EAST_ASIAN, "cp437", "cp850", "cp1252", "cp1250", "cp852", "cp866", "cp1251")
UTF_16 = ("utf-16-le", "utf-16-be")  # without a mark, in a script whose text has no zero bytes
IN_TEXTS = ("cp1252", *EAST_ASIAN, "cp1251", "cp1250", *UTF_16, "mac_roman")
# What is further offered for texts that the guess reads wrongly.
OFFERED_FOR_TEXTS = (
    *IN_TEXTS,
    *("cp437", "cp850", "cp852", "cp866", "koi8_r", "mac_cyrillic", "mac_latin2"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "cp874"),
)
RARE = {"mac_roman": 0.3}  # by how much a page is less likely than others whose letters fit as well
MOST_CHOICES = 8
LETTERS = 0.9  # share of the characters outside ASCII that are letters or quotes in a plausible reading
# Letters beside a to z of languages, and how likely names are in them: a code page whose letters no language
# has together is less likely by half a letter.
ALPHABETS = (
    *((alphabet, 0.5) for alphabet in ("äöüß", "àâçéèêëîïôœùûü", "áéíñóúü", "àèéìòù", "áâãàçéêíóôõúü")),
    *((alphabet, 0.5) for alphabet in ("åäöé", "æøåé", "ąćęłńóśźż", "áčďéěíňóřšťúůýž")),
    *((alphabet, 0.4) for alphabet in ("áéíóöőúüű", "áäčďéíľňóôŕšťúýž", "čćđšž")),
    *((alphabet, 0.2) for alphabet in ("ëïéèöü", "ăâîșțşţ", "äõöüšž", "áðéíóúýþæö")),
    ("абвгдежзийклмнопрстуфхцчшщъыьэюяё", 0.5),
    ("абвгдежзийклмнопрстуфхцчшщьюяєіїґ", 0.4),
)
# Letters where no language has them: more likely another letter of another code page.
MISPLACED = re.compile(
    "[ùòì](?=[a-z])|(?<=[a-z])à(?=[a-z])|õ(?![eẽ])|ñ(?![aeiouáéíóú])|œ(?![ui])|[ûï](?![a-z])"
    "|(?<![a-zà-ÿ])[èêîïôõùûœß]"
)
LABELS = {
    **{"cp932": "Shift-JIS", "gb18030": "GBK", "big5": "Big5", "cp949": "EUC-KR"},
    **{"cp437": "code page 437", "cp850": "code page 850", "cp852": "code page 852"},
    **{"cp866": "code page 866"},
    **{"cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1252": "Windows-1252"},
    **{"utf-16-le": "UTF-16", "utf-16-be": "UTF-16"},
    **{"mac_roman": "Mac Roman", "mac_cyrillic": "Mac Cyrillic", "mac_latin2": "Mac Central European"},
    **{"koi8_r": "KOI8-R", "cp1253": "Windows-1253", "cp1254": "Windows-1254"},
    **{"cp1255": "Windows-1255", "cp1256": "Windows-1256", "cp874": "Windows-874"},
}
COMMON = frozenset(
    "的一是不了在人有我他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天"
    "而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现分将外但身些"
    "与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位因重被走电四第门相次"
    "东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市眼体别处总才场师书比住员九笑性通目华报立马命"
    "张活难神数件安表原车白应路期死常提感金何更反合放做系计或司利受光王果亲界及今京务制解各任至清物台象记边共风战干接"
    "它许八特觉望直服毛林题建南度统色字请交爱让认算论百吃义科怎元社术结六功指思非流每青管夫连远资队跟带花快条院变联言"
    "权往展该领传近留红治决周保达办运武半候七必城父强步完革深区即求品士转量空甚众技轻程告江语英基派满式李息写呢识极令"
    "黄德收脸钱党倒未持取设始版双历越史商千片容研像找友孩站广改议形委早房音火际则首单据导影失拿网香似斯专石若兵弟谁校"
    "读志飞观争究包组造落视济喜离虽坏拉跑猫狗帽图照鸟鱼红蓝绿衣树雪云夜"
    "們個來這國說時過學對會樣將與進實點種聲業間動兩長問機經頭開無發當還從電門東關場師書員報馬張難數車應親務觀記邊風戰"
    "覺題統請愛讓認論義術結體處圖貓鳥魚紅藍綠樹雲頁後裡畫",
)
KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa\u30fc]")
HANGUL = re.compile("[\uac00-\ud7a3]")
HALFWIDTH = re.compile("[\uff61-\uff9f]")
UNSEEN = ("Cc", "Cf", "Cn", "Co")  # categories of characters that have no shape
SCORED = 2_000  # texts
QUOTES = "‘’“”–—…€£°®©"


def guess(raws: Iterable[bytes], candidates: Sequence[str]) -> str:
    """The candidate that reads all of `raws` best, the earlier one of equals; empty if none reads them."""
    return next(iter(_ranked(raws, candidates)), "")


def guess_for_names(raws: Iterable[bytes], candidates: Sequence[str] = IN_NAMES) -> tuple[str, bool]:
    """The page of names without a mark, and whether it reads those that are valid UTF-8, too.

    Words in a code page may happen to be valid UTF-8, so all names are read alike if one page can.
    """
    unmarked = list(raws)
    if page := guess(unmarked, candidates):
        return page, True
    return guess([raw for raw in unmarked if not is_utf8(raw)], candidates), False


def choices(raws: Sequence[bytes], examples: Sequence[bytes], guessed: str) -> list[dict[str, str]]:
    """The pages in which all of `raws` are names that people could see, the guessed one first.

    Each has its `page`, its `label`, and the `names` that the `examples` have in it. Pages in which all names
    are the same count once.
    """
    readings: dict[tuple[str, ...], str] = {}
    for page in dict.fromkeys((guessed, *_ranked(raws, IN_NAMES))):
        names = tuple(decode_name(raw, page) for raw in raws)
        if page == guessed or not any(unicodedata.category(char) in UNSEEN for char in "".join(names)):
            readings.setdefault(names, page)
    return [
        {
            "page": page,
            "label": LABELS[page],
            "names": name_list([decode_name(raw, page) for raw in examples]),
        }
        for page in readings.values()
    ]


def choices_for_texts(raws: Sequence[bytes], guessed: str) -> list[dict[str, str]]:
    """The pages in which all of `raws` are plausible texts, the guessed one first, the others the best first.

    Each has its `page`, its `label`, and as `names` how the first text that shows a difference reads in it.
    """
    readings: dict[tuple[str, ...], str] = {}
    for page in dict.fromkeys((guessed, *_ranked(raws, OFFERED_FOR_TEXTS))):
        texts = tuple(raw.decode(page) for raw in raws)
        if page == guessed or _is_plausible("".join(texts)):
            readings.setdefault(texts, page)
    first = next((raw for raw in raws if not raw.isascii()), b"")
    return [
        {"page": page, "label": LABELS[page], "names": name_list([around_odd(first.decode(page))])}
        for page in list(readings.values())[:MOST_CHOICES]
    ]


def around_odd(text: str) -> str:
    """The part of a text in which the letters outside ASCII are, about 70 characters long."""
    at = next((at for at, char in enumerate(text) if not char.isascii()), 0)
    first = max(0, at - 30)
    return ("…" if first else "") + " ".join(text[first : first + 70].split())


def _is_plausible(text: str) -> bool:
    odd = [char for char in text if not char.isascii()]
    letters = sum(char in QUOTES or unicodedata.category(char).startswith(("L", "M")) for char in odd)
    return letters >= LETTERS * len(odd) and not any(unicodedata.category(char) in UNSEEN for char in odd)


def _ranked(raws: Iterable[bytes], candidates: Sequence[str]) -> list[str]:
    """The candidates that read all of `raws`, the best one first."""
    odd = [raw for raw in dict.fromkeys(raws) if not raw.isascii()]
    first, others = odd[:SCORED], odd[SCORED:]
    scores = {
        page: score
        for page in candidates
        if (score := _score(first, page)) is not None and all(_can_decode(raw, page) for raw in others)
    }
    return sorted(scores, key=lambda page: scores[page], reverse=True)


def is_utf8(raw: bytes) -> bool:
    return _can_decode(raw, "utf-8")


def _can_decode(raw: bytes, page: str) -> bool:
    try:
        raw.decode(page)
    except UnicodeDecodeError:
        return False
    return True


def decode_name(raw: bytes, page: str) -> str:
    """The name in `page`; a neutral one where no page is known.

    Byte 5C after a letter outside ASCII may be the second half of a character in a page that was not guessed,
    so in a page of single bytes it separates no folder there.
    """
    if not page:
        return _neutral(raw)
    name = raw.decode(page)
    return (
        name if page in EAST_ASIAN else re.sub(r"(?<=[^\x00-\x7f])\\", "\N{FULLWIDTH REVERSE SOLIDUS}", name)
    )


def _neutral(raw: bytes) -> str:
    return "".join(chr(byte) if byte < 128 and byte != 0x5C else f"x{byte:02x}" for byte in raw)


def _score(raws: list[bytes], page: str) -> float | None:
    """The mean over all letters outside ASCII; None if the page does not decode every text."""
    total, count = 0.0, 0
    letters: set[str] = set()
    for raw in raws:
        try:
            text = raw.decode(page)
        except UnicodeDecodeError:
            return None
        total -= text.count("\\")  # more likely the second byte of a character
        if page not in (*EAST_ASIAN, *UTF_16):
            total -= 0.5 * len(MISPLACED.findall(text.lower()))
            letters.update(char for char in text.lower() if char.isalpha() and not char.isascii())
        for at, char in enumerate(text):
            if not char.isascii():
                beside = text[max(0, at - 1) : at] + text[at + 1 : at + 2]
                total += _weight(char, beside, page)
                count += 1
    if page in (*UTF_16, *RARE) and total < 0.5 * count:
        return None  # nearly all bytes are some text in these
    mean = total / max(1, count) - RARE.get(page, 0.0)
    return mean + (_language(letters) - 0.5 if letters else 0.0)


def _language(letters: set[str]) -> float:
    """How likely a language is whose alphabet has all `letters`; 0 if there is none."""
    return max((weight for alphabet, weight in ALPHABETS if letters <= set(alphabet)), default=0.0)


def _weight(char: str, beside: str, page: str) -> float:
    if page in EAST_ASIAN:
        return _east_asian(char, page) - (0.7 if re.search("[A-Za-z]", beside) and char not in QUOTES else 0)
    if page in UTF_16:
        return 1.8 if KANA.match(char) else 1.6 if char in COMMON else 0.9 if HANGUL.match(char) else -1.0
    category = unicodedata.category(char)
    name = unicodedata.name(char, "")
    if category in ("Ll", "Lu", "Lo"):
        is_latin = name.startswith("LATIN") or char in "ªº"
        is_cyrillic = name.startswith("CYRILLIC")
        if is_cyrillic and re.search("[A-Za-z]", beside):
            return -1.0
        is_odd = category == "Lu" and beside[:1].islower()
        is_odd |= is_latin and beside[:1].isalpha() and not _are_of_one_language(char + beside[:1])
        return (1.0 if is_latin or is_cyrillic else -0.5) - (0.6 if is_odd else 0)
    if char in QUOTES:
        is_between = len(beside) == 2 and beside.isalpha() and char != "’"
        return 0.0 if is_between else 0.8
    return -1.0 if category in ("So", "Sm", "Co", "Cn", "Cc") else -0.2


def _are_of_one_language(letters: str) -> bool:
    odd = {letter for letter in letters.lower() if not letter.isascii()}
    return len(odd) < 2 or _language(odd) > 0


def _east_asian(char: str, page: str) -> float:
    if HALFWIDTH.match(char):
        return -0.5
    if KANA.match(char):
        return 1.8 if page == "cp932" else 0.2
    try:
        lead = char.encode(EAST_ASIAN[page])[0]
    except UnicodeEncodeError:
        return -0.6  # an extension of the standard set
    if not char.isalpha():
        return 0.3
    if page == "cp949":  # Korean names hold hangul, no Chinese characters
        return 1.0 if HANGUL.match(char) else -1.0
    usual = 0.7 if lead <= USUAL_LEADS[EAST_ASIAN[page]] else 0.0
    common = 0.4 if page == "cp932" else 0.9 if char in COMMON else 0.0
    return usual + common
