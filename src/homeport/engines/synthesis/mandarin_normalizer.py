"""Spells out numbers, dates, times, money, percentages, units and signs in Mandarin: text in, text out.

Latin words are unchanged, with the digits that belong to them. Knows nothing of phonemes.
"""

import re
from collections.abc import Callable

_DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿")
_MAX_DIGITS = 16
_CURRENCIES = {
    "¥": "元",
    "￥": "元",
    "$": "美元",
    "US$": "美元",
    "HK$": "港元",
    "€": "欧元",
    "£": "英镑",
    "₩": "韩元",
    "RMB": "元",
    "CNY": "元",
    "USD": "美元",
}
_UNITS = {
    "km/h": "公里每小时",
    "m/s": "米每秒",
    "km²": "平方公里",
    "m²": "平方米",
    "m³": "立方米",
    "km": "公里",
    "cm": "厘米",
    "mm": "毫米",
    "nm": "纳米",
    "kg": "公斤",
    "mg": "毫克",
    "ml": "毫升",
    "mL": "毫升",
    "kWh": "千瓦时",
    "kW": "千瓦",
    "MW": "兆瓦",
    "GHz": "吉赫兹",
    "MHz": "兆赫兹",
    "Hz": "赫兹",
    "min": "分钟",
    "℃": "摄氏度",
    "°C": "摄氏度",
    "℉": "华氏度",
    "°F": "华氏度",
    "°": "度",
    "m": "米",
    "g": "克",
    "L": "升",
    "W": "瓦",
    "V": "伏",
    "s": "秒",
    "h": "小时",
    "t": "吨",
}
_COUNTED = "个位名只本次天件条张杯种家间台辆块元份句段页层座棵双对套岁倍人周"
_SIGNS = {
    "&": "和",
    "+": "加",
    "=": "等于",
    "×": "乘",
    "÷": "除以",
    "±": "正负",
    "<": "小于",
    ">": "大于",
    "≈": "约等于",
}
_N = r"(\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_NOT_IN_WORD = r"(?<![A-Za-z0-9.\-])"


def _alternatives(words: dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def cardinal(number: str) -> str:
    """Spell out a number, such as `1,234.50` or `12`, by its value; a very long one digit by digit."""
    whole, _, fraction = number.replace(",", "").partition(".")
    tail = f"点{digits(fraction)}" if fraction else ""
    if len(whole) > _MAX_DIGITS:
        return digits(whole) + tail
    value = whole.lstrip("0")
    if not value:
        return "零" + tail
    spelled = ""
    is_gap = False
    groups = [value[max(0, end - 4) : end] for end in range(len(value), 0, -4)][::-1]
    for at, group in enumerate(groups):
        read = _group(group.zfill(4) if spelled else group, is_first=not spelled)
        if read:
            spelled += ("零" if is_gap and read[0] != "零" else "") + read + _GROUPS[len(groups) - 1 - at]
        is_gap = not read
    return spelled + tail


def _group(group: str, *, is_first: bool) -> str:
    """Spell out up to four digits."""
    spelled = ""
    is_gap = False
    for at, digit in enumerate(group):
        if digit == "0":
            is_gap = True
            continue
        if is_gap and (spelled or not is_first):
            spelled += "零"
        is_gap = False
        spelled += _DIGITS[int(digit)] + _PLACES[len(group) - 1 - at]
    return spelled.removeprefix("一") if is_first and spelled.startswith("一十") else spelled


def digits(number: str) -> str:
    """Spell out a number digit by digit."""
    return "".join(_DIGITS[int(digit)] for digit in number)


def _date(match: re.Match[str]) -> str:
    year, month, day = match.groups()
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return match.group()
    return f"{digits(year)}年{cardinal(month)}月{cardinal(day)}日"


def _time(match: re.Match[str]) -> str:
    hour, minute, second = match.groups()
    if int(hour) > 24 or int(minute) > 59 or int(second or 0) > 59:
        return match.group()
    spelled = ("两" if int(hour) == 2 else cardinal(hour)) + "点"
    if int(minute):
        spelled += ("零" if minute[0] == "0" else "") + cardinal(minute) + "分"
    elif second is None:
        spelled += "整"
    return spelled + (f"{cardinal(second)}秒" if second else "")


def _money(match: re.Match[str]) -> str:
    sign, number, size = match.groups()
    return cardinal(number) + (size or "") + _CURRENCIES[sign]


def _long(match: re.Match[str]) -> str:
    return digits(match.group()).replace("一", "幺") if match.group().startswith("1") else digits(match.group())


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)"), _date),
    (re.compile(r"(?<!\d)(\d{4})(?=年)"), lambda m: digits(m.group(1))),
    (re.compile(r"(?<![\d:])(\d{1,2}):(\d{2})(?::(\d{2}))?(?![\d:])"), _time),
    (re.compile(rf"({_alternatives(_CURRENCIES)})\s?{_N}(万亿|万|亿)?"), _money),
    (re.compile(rf"(?<!\d)-{_N}(?=\s?(?:℃|°))"), lambda m: f"零下{m.group(1)}"),
    (
        re.compile(rf"{_N}[%％]?\s?[-–~～至]\s?{_N}\s?[%％]"),
        lambda m: f"百分之{cardinal(m[1])}到百分之{cardinal(m[2])}",
    ),
    (re.compile(rf"(负|-)?{_N}\s?[%％]"), lambda m: f"{'负' if m[1] else ''}百分之{cardinal(m[2])}"),
    (re.compile(rf"{_N}\s?[-–~～]\s?(?={_N})"), lambda m: f"{m.group(1)}到"),
    (re.compile(rf"{_NOT_IN_WORD}(\d{{1,3}})/(\d{{1,3}})(?![\d/])"), lambda m: f"{cardinal(m[2])}分之{cardinal(m[1])}"),
    (
        re.compile(rf"{_NOT_IN_WORD}{_N}\s?({_alternatives(_UNITS)})(?![A-Za-z])"),
        lambda m: cardinal(m.group(1)) + _UNITS[m.group(2)],
    ),
    (re.compile(rf"(?<![A-Za-z0-9.\-第])2(?=\s?[{_COUNTED}点]|\s?(?:小时|分钟))"), lambda _: "两"),
    (re.compile(rf"{_NOT_IN_WORD}(?:1\d{{10}}|0\d{{9,11}}|0\d{{2,8}})(?![\d.])"), _long),
    (re.compile(rf"(?<![A-Za-z0-9])-{_N}"), lambda m: f"负{cardinal(m.group(1))}"),
    (re.compile(rf"{_NOT_IN_WORD}{_N}"), lambda m: cardinal(m.group(1))),
    (re.compile(rf"[{re.escape(''.join(_SIGNS))}]"), lambda m: _SIGNS[m.group()]),
)


def normalize(text: str) -> str:
    """Spell out digits and signs in Han characters. Full-width forms count as plain ones."""
    for pattern, spell in _RULES:
        text = pattern.sub(spell, text)
    return text
