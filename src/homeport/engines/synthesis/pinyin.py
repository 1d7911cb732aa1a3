"""Mandarin words as phonemes of Kokoro's alphabet, by way of pinyin. Knows nothing of sentences, numbers or models.

Kokoro was trained on broad IPA with an arrow for each tone after the vowel and a space between words. Tones are those
of the dictionary; the model applies tone sandhi.
"""

import re

import rjieba
from pypinyin import Style, lazy_pinyin

_INITIALS = {
    "b": "p",
    "p": "pʰ",
    "m": "m",
    "f": "f",
    "d": "t",
    "t": "tʰ",
    "n": "n",
    "l": "l",
    "g": "k",
    "k": "kʰ",
    "h": "x",
    "j": "ʨ",
    "q": "ʨʰ",
    "x": "ɕ",
    "zh": "ꭧ",
    "ch": "ꭧʰ",
    "sh": "ʂ",
    "r": "ɻ",
    "z": "ʦ",
    "c": "ʦʰ",
    "s": "s",
}
# The underscore is the place of the tone's arrow.
_FINALS = {
    "a": "a_",
    "ai": "ai_",
    "an": "a_n",
    "ang": "a_ŋ",
    "ao": "au_",
    "e": "ɤ_",
    "ei": "ei_",
    "en": "ə_n",
    "eng": "ə_ŋ",
    "i": "i_",
    "ia": "ja_",
    "ian": "jɛ_n",
    "iang": "ja_ŋ",
    "iao": "jau_",
    "ie": "je_",
    "in": "i_n",
    "ing": "i_ŋ",
    "iong": "jʊ_ŋ",
    "iou": "jou_",
    "o": "wo_",
    "ong": "ʊ_ŋ",
    "ou": "ou_",
    "u": "u_",
    "ua": "wa_",
    "uai": "wai_",
    "uan": "wa_n",
    "uang": "wa_ŋ",
    "uei": "wei_",
    "uen": "wə_n",
    "ueng": "wə_ŋ",
    "uo": "wo_",
    "v": "y_",
    "van": "ɥɛ_n",
    "ve": "ɥe_",
    "vn": "y_n",
    "ê": "ɛ_",
}
_ALONE = {"er": "ɚ_", "o": "ɔ_", "io": "jɔ_", "yo": "jɔ_", "m": "m_", "n": "n_", "ng": "ŋ_", "hm": "hm_", "hng": "hŋ_"}
_GLIDES = {
    "yi": "i",
    "ya": "ia",
    "ye": "ie",
    "yao": "iao",
    "you": "iou",
    "yan": "ian",
    "yin": "in",
    "yang": "iang",
    "ying": "ing",
    "yong": "iong",
    "yu": "v",
    "yue": "ve",
    "yuan": "van",
    "yun": "vn",
    "wu": "u",
    "wa": "ua",
    "wo": "uo",
    "wai": "uai",
    "wei": "uei",
    "wan": "uan",
    "wen": "uen",
    "wang": "uang",
    "weng": "ueng",
}
_SHORT = {"iu": "iou", "ui": "uei", "un": "uen"}
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
_SYLLABLE = re.compile(r"([zcs]h|[bpmfdtnlgkhjqxrzcs])?([a-zêü]+)")


def phonemes(text: str) -> str:
    """Return the phonemes of Han characters, with a space between words. Unknown characters are left out."""
    words = (lazy_pinyin(word, Style.TONE3, errors="ignore", neutral_tone_with_five=True) for word in rjieba.cut(text))
    return " ".join(filter(None, ("".join(syllable(each) for each in word) for word in words)))


def syllable(pinyin: str) -> str:
    """Return the phonemes of one syllable of pinyin that ends with its tone's number; empty if it is not one."""
    tone = _TONES.get(pinyin[-1:])
    plain = pinyin[:-1].replace("ü", "v")
    if tone is None:
        return ""
    if plain in _ALONE:
        return _ALONE[plain].replace("_", tone)
    if plain in _GLIDES:
        return _FINALS.get(_GLIDES[plain], "").replace("_", tone)
    split = _SYLLABLE.fullmatch(plain)
    if split is None:
        return ""
    initial, final = split.group(1) or "", split.group(2)
    if initial in ("j", "q", "x") and final[0] == "u":
        final = f"v{final[1:]}"
    if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        return f"{_INITIALS[initial]}ɨ{tone}"
    pattern = _FINALS.get(_SHORT.get(final, final))
    return f"{_INITIALS[initial] if initial else ''}{pattern.replace('_', tone)}" if pattern else ""
