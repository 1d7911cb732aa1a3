"""The genres that can be composed: how they are learned, their metres and tempos, and the words that prompts use.

Knows nothing of requests, networks and notes.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from homeport.engines.music.score import Metre


class Genre(msgspec.Struct, frozen=True):
    """A genre. `style`: what the composer learned it as. `tempos`: beats a minute from slow to fast by metre, the usual
    metre first. `words`: in prompts, in English and Chinese, beside the name. `description`: compared with prompts.
    """

    name: str
    style: str
    tempos: Mapping[Metre, tuple[float, float]]
    words: tuple[str, ...]
    description: str


_2_4, _3_4, _4_4, _6_8, _9_8 = Metre(2, 4), Metre(3, 4), Metre(4, 4), Metre(6, 8), Metre(9, 8)

_ALL = (
    Genre(
        "reel",
        "reel",
        {_4_4: (176, 212)},
        ("reels", "里尔", "瑞尔", "利尔舞曲"),
        "a fast, driving, energetic Irish or Scottish reel for dancing, at a party or in a pub",
    ),
    Genre(
        "jig",
        "jig",
        {_6_8: (104, 124)},
        ("jigs", "gigue", "吉格", "快步舞"),
        "a cheerful, bouncing, merry Irish jig, lively and playful",
    ),
    Genre(
        "slip jig",
        "slip jig",
        {_9_8: (98, 118)},
        ("slip jigs", "slip-jig", "hop jig", "滑步吉格"),
        "a light, graceful, flowing slip jig in nine eight, for soft shoe dancing",
    ),
    Genre(
        "hornpipe",
        "hornpipe",
        {_4_4: (136, 168)},
        ("hornpipes", "sailor", "sailors", "sea shanty", "shanty", "pirate", "pirates", "角笛舞", "水手", "海盗"),
        "a swinging, jaunty sailor's hornpipe about ships, sailors and the sea",
    ),
    Genre(
        "strathspey",
        "strathspey",
        {_4_4: (108, 132)},
        ("strathspeys", "highland", "highlands", "bagpipe", "bagpipes", "斯特拉斯佩", "苏格兰高地", "风笛"),
        "a proud, stately Scottish strathspey with bagpipes in the highlands",
    ),
    Genre(
        "march",
        "march",
        {_4_4: (96, 120), _2_4: (96, 120), _6_8: (100, 120)},
        ("marches", "marching", "military", "parade", "soldiers", "quickstep", "进行曲", "军乐", "军队", "行军"),
        "a military march for a parade of soldiers, heroic, triumphant, ceremonial and brave",
    ),
    Genre(
        "polka",
        "dance",
        {_2_4: (112, 136)},
        ("polkas", "波尔卡", "波卡"),
        "a lively, funny polka with accordion at a village feast",
    ),
    Genre(
        "waltz",
        "air",
        {_3_4: (120, 156)},
        ("waltzes", "ballroom", "minuet", "华尔兹", "圆舞曲", "小步舞曲", "三拍子"),
        "an elegant, romantic waltz in a ballroom, turning in three four",
    ),
    Genre(
        "air",
        "air",
        {_3_4: (66, 88), _4_4: (66, 88), _6_8: (42, 56)},
        ("airs", "slow air", "lament", "ambient", "meditation", "曲调", "哀歌", "冥想", "田园"),
        "a slow, calm, melancholic air, a lament for meditation, rain, memories and farewell",
    ),
    Genre(
        "lullaby",
        "air",
        {_3_4: (60, 78), _6_8: (36, 46)},
        ("lullabies", "cradle song", "bedtime", "sleepy", "to sleep", "摇篮曲", "催眠曲", "睡前", "安眠"),
        "a soft, tender lullaby to sing a baby to sleep at night",
    ),
    Genre(
        "ballad",
        "air",
        {_4_4: (72, 96), _3_4: (84, 108)},
        ("ballads", "love song", "folk song", "叙事曲", "民谣", "情歌", "抒情"),
        "a heartfelt ballad, a folk song that tells a story of love and loss, slow pop",
    ),
    Genre(
        "song",
        "air",
        {_4_4: (92, 120), _2_4: (84, 108)},
        (
            "songs",
            "pop",
            "nursery rhyme",
            "children's song",
            "birthday",
            "christmas",
            "歌曲",
            "流行",
            "儿歌",
            "生日",
            "圣诞",
        ),
        "a simple, friendly song with an easy melody to sing along, pop, for children or a birthday",
    ),
    Genre(
        "dance",
        "dance",
        {_2_4: (100, 124), _4_4: (120, 152)},
        ("dances", "country dance", "cotillion", "舞曲", "跳舞", "乡村舞"),
        "an old country dance, social, bright and light-hearted; electronic, rock or game music with a beat",
    ),
)
GENRE_BY_NAME: Mapping[str, Genre] = MappingProxyType({genre.name: genre for genre in _ALL})
GENRES: tuple[str, ...] = tuple(GENRE_BY_NAME)
