"""The Chinese words that say where things are, how many there are, and how they look. Data only."""

from homeport.engines.images.pipelines.clipart.grammar import (
    BIG,
    COLORS,
    HUGE,
    MANY,
    OTHER_COLORS,
    SEVERAL,
    SMALL,
    TINY,
    Kind,
    Value,
    phrases,
)
from homeport.engines.images.pipelines.clipart.scene import Place

COMMAS = (",", "\uff0c")
"""What separates clauses, in both widths."""
CLASSIFIERS = "只个條条头匹棵朵本张把辆艘架座间栋幢颗粒块片杯瓶碗盘根支枝名位件顶台部束串滴盏幅所尊株艘列轮道"
"""Measure words, which follow a number and are otherwise no words here."""
RIDES = phrases("骑着/骑在/骑")
"""Verbs whose object, below the subject, comes after them."""
_DIGITS = {digit: number for number, digit in enumerate("一二三四五六七八九十", 1)} | {
    "两": 2,
    "几": SEVERAL,
    "十一": 11,
    "十二": 12,
}
_WORDS: dict[Kind, dict[str, Value]] = {
    Kind.PLACE: {
        **dict.fromkeys(phrases("上/上边/上面/上头"), Place.ON),
        **dict.fromkeys(phrases("下/下边/下面/下方/底下/底下边/底下面/底下方/脚下/脚下边/脚下面/脚下方"), Place.UNDER),
        **dict.fromkeys(phrases("上方/上空/头顶"), Place.ABOVE),
        **dict.fromkeys(phrases("左/左边/左面/左侧/左方"), Place.LEFT),
        **dict.fromkeys(phrases("右/右边/右面/右侧/右方"), Place.RIGHT),
        **dict.fromkeys(phrases("旁边/旁/边上/身边/身旁/附近/隔壁"), Place.BESIDE),
        **dict.fromkeys(phrases("前/前边/前面/前方/面前/面前边/面前面/面前方"), Place.FRONT),
        **dict.fromkeys(phrases("后/后边/后面/后方/背后/背后边/背后面/背后方/身后/身后边/身后面/身后方"), Place.BEHIND),
        **dict.fromkeys(phrases("之间/中间/当中"), Place.BETWEEN),
        **dict.fromkeys(phrases("里/里面/里边/中/内/之中"), Place.IN),
    },
    Kind.COUNT: {
        **{f"{digit}{unit}": number for digit, number in _DIGITS.items() for unit in CLASSIFIERS},
        **dict.fromkeys(phrases("一对/一双/两"), 2),
        **dict.fromkeys(phrases("一些/几/好几个/好几只"), SEVERAL),
        **dict.fromkeys(phrases("许多/很多/一群/好多"), MANY),
    },
    Kind.ARTICLE: {f"{word}{unit}": None for word in "这那" for unit in ("", *CLASSIFIERS)},
    Kind.COLOR: {
        f"{word}{end}": color
        for color, words in (COLORS | OTHER_COLORS).items()
        for word in words
        for end in ("", "的")
    },
    Kind.SIZE: {
        **dict.fromkeys(phrases("大/大的/很大的/高大的"), BIG),
        **dict.fromkeys(phrases("巨大的/巨大/巨型"), HUGE),
        **dict.fromkeys(phrases("小/小的/小小的/很小的"), SMALL),
        **dict.fromkeys(phrases("迷你/微小的"), TINY),
    },
    Kind.AND: dict.fromkeys((*phrases("和/与/跟/以及/还有/及/同/并/也"), *COMMAS, "\u3001", ":", "\uff1a")),
    Kind.STOP: dict.fromkeys((".", ";", "!", "?", "\u3002", "\uff1b", "\uff01", "\uff1f")),
    Kind.OF: dict.fromkeys(phrases("的")),
    Kind.AT: dict.fromkeys(phrases("在/位于/放在/从/到")),
    Kind.STYLE: dict.fromkeys(phrases("照片/的照片/摄影/写实/真实/油画/的油画/水彩画/素描/高清/卡通风格/风格/动漫")),
    Kind.FILLER: dict.fromkeys(
        phrases(
            "画/画一/请画/请/图片/的图片/一张图片/图/图像/插画/表情画/可爱的/漂亮的/一张/一幅/张/美丽的/背景/白色背景"
        )
    ),
    Kind.VERB: dict.fromkeys(
        phrases(
            "有/是/正在/正/坐/坐着/站/站着/躺/躺着/趴/趴着/睡觉/睡/睡着/飞/飞着/飞过/飞翔/跑/跑着/奔跑/走/走着/游/"
            "游泳/看/看着/玩/玩耍/吃/吃着/喝/放着/放/挂/挂着/停/停着/长/长着/拿着/抱着/追/着/了/各/都/藏着/藏/休息/"
            "开着/盛开/下来/下去/上来/上去/出来/过来/起来"
        )
    ),
    Kind.WEARS: dict.fromkeys(phrases("戴着/戴/穿着")),
}
_WORDS[Kind.PLACE] |= dict.fromkeys(RIDES, Place.ON)
CHINESE = {phrase: (kind, value) for kind, found in _WORDS.items() for phrase, value in found.items()}
"""Kind and value of each word."""
