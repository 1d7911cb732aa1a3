"""A library for tests: 200 documents about things that do not exist, in English and Chinese, and 100 questions.

Each document has the facts of one thing among sentences that all documents share. Made by code, always the same.
"""

from collections.abc import Iterator
from typing import NamedTuple

_NAMES = ("Abend", "Birkow", "Carval", "Dorset", "Elmark", "Farlun", "Gostam", "Harvik", "Ilmen", "Jostad")
_CHINESE_NAMES = ("青松", "白鹿", "长河", "东岭", "飞云", "光明", "海棠", "金星", "蓝天", "明月")


class _Kind(NamedTuple):
    """A kind of things. `fact` and `question` name one by `{name}`; the answer is `{value}`."""

    thing: str
    fact: str
    question: str
    values: tuple[str, ...]


class Entry(NamedTuple):
    """A document, and a question that only it answers. `answer`: what the right passage has."""

    text: str
    question: str
    answer: str


_YEARS = tuple(str(1801 + 17 * at) for at in range(10))
_ENGLISH = (
    _Kind(
        "lighthouse", "The {name} lighthouse was completed in {value}.", "When was the {name} lighthouse built?", _YEARS
    ),
    _Kind(
        "bakery",
        "At the {name} bakery the most popular bread is made of {value}.",
        "What is the favorite loaf of {name} bakery's customers made from?",
        ("rye", "spelt", "barley", "oats", "corn", "millet", "wheat", "rice", "potatoes", "buckwheat"),
    ),
    _Kind(
        "library",
        "The {name} library stays closed every {value}.",
        "On which day can I not visit the {name} library?",
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday") * 2,
    ),
    _Kind(
        "bridge",
        "Engineers painted the {name} bridge {value}.",
        "What color is the bridge at {name}?",
        ("red", "green", "blue", "white", "black", "yellow", "gray", "brown", "orange", "purple"),
    ),
    _Kind(
        "factory",
        "The {name} factory employs {value} people.",
        "How many workers does the factory in {name} have?",
        tuple(str(120 + 37 * at) for at in range(10)),
    ),
    _Kind(
        "museum",
        "Tickets for the {name} museum cost {value} crowns.",
        "What is the price of entry to the {name} museum?",
        tuple(str(at) for at in range(11, 21)),
    ),
    _Kind(
        "lake",
        "Lake {name} is {value} meters deep.",
        "How deep is the lake called {name}?",
        tuple(str(31 + 9 * at) for at in range(10)),
    ),
    _Kind(
        "school",
        "The head of the {name} school is Ms. {value}.",
        "Who leads the school of {name}?",
        ("Adler", "Boden", "Cramer", "Dietz", "Ebert", "Frank", "Graf", "Huber", "Jung", "Kolb"),
    ),
    _Kind(
        "train",
        "The last train from {name} leaves at {value}.",
        "At what time does the final train depart from {name}?",
        tuple(f"{20 + at % 4}:{10 + at}" for at in range(10)),
    ),
    _Kind(
        "printer",
        "The printer in room {name} needs cartridges of type {value}.",
        "Which cartridge fits the printer in {name}?",
        tuple(f"K{40 + at}" for at in range(10)),
    ),
)
_CHINESE = (
    _Kind(
        "公司",
        "{name}公司的年假是{value}天。",
        "{name}公司的员工每年可以休息多少天？",
        tuple(str(at) for at in range(8, 18)),
    ),
    _Kind("大桥", "{name}大桥在{value}年建成。", "{name}大桥是什么时候建好的？", _YEARS),
    _Kind(
        "图书馆",
        "{name}图书馆每逢{value}闭馆。",
        "{name}图书馆哪一天不开放？",
        ("周一", "周二", "周三", "周四", "周五") * 2,
    ),
    _Kind(
        "饭店",
        "{name}饭店最有名的菜是{value}。",
        "去{name}饭店应该点什么菜？",
        ("红烧鱼", "烤鸭", "炒虾", "豆腐汤", "羊肉", "饺子", "面条", "火锅", "包子", "春卷"),
    ),
    _Kind(
        "学校",
        "{name}学校的校长姓{value}。",
        "谁是{name}学校的校长？",
        ("王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴"),
    ),
    _Kind("湖", "{name}湖最深处有{value}米。", "{name}湖有多深？", tuple(str(21 + 8 * at) for at in range(10))),
    _Kind(
        "博物馆",
        "{name}博物馆的门票是{value}元。",
        "参观{name}博物馆要花多少钱？",
        tuple(str(5 * at) for at in range(4, 14)),
    ),
    _Kind(
        "工厂",
        "{name}工厂有{value}名工人。",
        "在{name}工厂工作的人有多少？",
        tuple(str(210 + 31 * at) for at in range(10)),
    ),
    _Kind(
        "车站",
        "从{name}车站出发的末班车是{value}。",
        "{name}车站最后一班车几点开？",
        tuple(f"{20 + at % 4}点{10 + at}分" for at in range(10)),
    ),
    _Kind(
        "公园",
        "{name}公园里种了很多{value}。",
        "在{name}公园可以看到什么花？",
        ("樱花", "菊花", "梅花", "荷花", "桃花", "兰花", "牡丹", "玫瑰", "茶花", "桂花"),
    ),
)
_BEFORE = "This note was written for visitors of the region. Please keep it in a dry place and share it with friends."
_AFTER = "More information is available at the town hall, which answers letters within two weeks."
_CHINESE_BEFORE = "这份说明是为来访者准备的，请妥善保存，也可以分享给朋友。"
_CHINESE_AFTER = "更多信息请到市政厅咨询，工作人员会在两周之内回复来信。"


def entries() -> Iterator[Entry]:
    """Yield 200 documents with their questions, English and Chinese ones in turn."""
    for at in range(100):
        kind, place = divmod(at, 10)
        for kinds, names, before, after in (
            (_ENGLISH, _NAMES, _BEFORE, _AFTER),
            (_CHINESE, _CHINESE_NAMES, _CHINESE_BEFORE, _CHINESE_AFTER),
        ):
            chosen, name, value = kinds[kind], names[place], kinds[kind].values[place]
            fact = chosen.fact.format(name=name, value=value)
            yield Entry(f"{before}\n{fact}\n{after}", chosen.question.format(name=name), value)
