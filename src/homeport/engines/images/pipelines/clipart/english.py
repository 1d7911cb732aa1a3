"""The English words that say where things are, how many there are, and how they look. Data only."""

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

_WORDS: dict[Kind, dict[str, Value]] = {
    Kind.PLACE: {
        **dict.fromkeys(phrases("on/on top of/onto/upon/atop/riding/riding on/rides/sits on"), Place.ON),
        **dict.fromkeys(phrases("under/underneath/below/beneath/at the foot of"), Place.UNDER),
        **dict.fromkeys(phrases("above/over/high above/jumping over/flying over"), Place.ABOVE),
        **dict.fromkeys(
            phrases("left of/to the left of/on the left of/on the left side of/at the left of"), Place.LEFT
        ),
        **dict.fromkeys(
            phrases("right of/to the right of/on the right of/on the right side of/at the right of"), Place.RIGHT
        ),
        **dict.fromkeys(phrases("next to/beside/by/near/close to/alongside/at/around"), Place.BESIDE),
        **dict.fromkeys(phrases("in front of"), Place.FRONT),
        **dict.fromkeys(phrases("behind/in back of"), Place.BEHIND),
        **dict.fromkeys(phrases("between/in between/in the middle of"), Place.BETWEEN),
        **dict.fromkeys(phrases("in/inside/inside of/into/within/driving/drives"), Place.IN),
    },
    Kind.WEARS: dict.fromkeys(phrases("wearing/wears")),
    Kind.SIDE: {
        **dict.fromkeys(phrases("on the left/at the left/to the left/on the left side"), Place.LEFT),
        **dict.fromkeys(phrases("on the right/at the right/to the right/on the right side"), Place.RIGHT),
        **dict.fromkeys(phrases("in the middle/in the center/in the centre"), Place.BETWEEN),
    },
    Kind.COUNT: {
        **{
            word: number
            for number, word in enumerate(phrases("one/two/three/four/five/six/seven/eight/nine/ten/eleven/twelve"), 1)
        },
        **dict.fromkeys(phrases("a pair of/a couple of/both/twin"), 2),
        **dict.fromkeys(phrases("some/several/a few/few/a group of"), SEVERAL),
        **dict.fromkeys(phrases("many/lots of/a lot of/a flock of/a herd of/a crowd of"), MANY),
        "a dozen": 12,
    },
    Kind.ARTICLE: dict.fromkeys(phrases("a/an/the/this/that/these/those/his/her/its/my/their")),
    Kind.COLOR: {**{color: color for color in (*COLORS, *OTHER_COLORS)}, "grey": "gray", "violet": "purple"},
    Kind.SIZE: {
        **dict.fromkeys(phrases("big/large/tall/great"), BIG),
        **dict.fromkeys(phrases("huge/giant/enormous/gigantic"), HUGE),
        **dict.fromkeys(phrases("small/little/short"), SMALL),
        **dict.fromkeys(phrases("tiny/miniature"), TINY),
    },
    Kind.AND: dict.fromkeys(phrases("and/with/plus/or/together with/along with/as well as/while/&/+")),
    Kind.OF: dict.fromkeys(phrases("of")),
    Kind.STYLE: dict.fromkeys(
        phrases(
            "photo/photo of/a photo of/photograph/a photograph of/photorealistic/realistic/painting/a painting of/"
            "oil painting/an oil painting of/watercolor/watercolour/a watercolor of/sketch/a sketch of/3d render/3d/"
            "4k/8k/hd/highly detailed/cinematic/portrait/a portrait of/anime/pixel art/digital art/black and white/"
            "soft light/natural light/golden hour/lighting/studio lighting/bokeh/depth of field/sharp focus/"
            "masterpiece/best quality/unreal engine/octane render/close-up/wide shot/film grain/vintage/"
            "minimalist/abstract"
        )
    ),
    Kind.FILLER: dict.fromkeys(
        phrases(
            "a picture of/picture of/an image of/image of/a drawing of/drawing of/please/an illustration of/"
            "illustration of/an emoji of/emoji of/clip art of/clip art/emoji/draw/paint/show/create/generate/make/me/"
            "there/it/he/she/they/cute/emoji drawing/a bunch of/a slice of/a piece of/very/beautiful/nice/scene/"
            "a scene with/background/white background/which/who/where/to/for/all/alone"
        )
    ),
    Kind.VERB: dict.fromkeys(
        phrases(
            "is/are/was/were/has/have/being/sit/sits/sitting/stand/stands/standing/lie/lies/lying/laying/sleep/sleeps/"
            "sleeping/run/runs/running/walk/walks/walking/fly/flies/flying/swim/swims/swimming/jump/jumps/jumping/"
            "play/plays/playing/look/looks/looking/watching/eat/eats/eating/drink/drinks/drinking/hang/hangs/hanging/"
            "grow/grows/growing/parked/resting/floating/floats/placed/hold/holds/holding/carrying/hiding/hides/"
            "chasing/chases/rests/perched/shining/shines/made/full/facing/touching"
        )
    ),
}
ENGLISH = {phrase: (kind, value) for kind, found in _WORDS.items() for phrase, value in found.items()}
"""Kind and value of each word and phrase."""
