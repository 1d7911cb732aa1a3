"""The fifty prompts of the evaluation, fixed before any model was evaluated."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt. `names`: English labels of the correct concepts. `colour`: the color, if the prompt names one."""

    text: str
    names: tuple[str, ...]
    colour: str = ""


PROMPTS = (
    Prompt("a red apple", ("red apple",)),
    Prompt("一只熊猫", ("panda",)),
    Prompt("sailing boat", ("sailboat",)),
    Prompt("soccer ball", ("soccer ball",)),
    Prompt("a slice of pizza", ("pizza",)),
    Prompt("a cute cat", ("cat", "cat face")),
    Prompt("a dog", ("dog", "dog face")),
    Prompt("rocket", ("rocket",)),
    Prompt("a birthday cake", ("birthday cake",)),
    Prompt("an umbrella in the rain", ("umbrella with rain drops", "umbrella")),
    Prompt("a green tree", ("deciduous tree", "evergreen tree")),
    Prompt("sunflower", ("sunflower",)),
    Prompt("a house with a garden", ("house with garden", "house")),
    Prompt("a cup of coffee", ("hot beverage",)),
    Prompt("bicycle", ("bicycle",)),
    Prompt("the moon at night", ("crescent moon", "full moon", "first quarter moon", "last quarter moon")),
    Prompt("a guitar", ("guitar",)),
    Prompt("a banana", ("banana",)),
    Prompt("a strawberry", ("strawberry",)),
    Prompt("a laughing face", ("face with tears of joy", "grinning squinting face", "rolling on the floor laughing")),
    Prompt("crying face", ("crying face", "loudly crying face")),
    Prompt("a heart", ("red heart",)),
    Prompt("a ghost", ("ghost",)),
    Prompt("a robot", ("robot",)),
    Prompt("an octopus", ("octopus",)),
    Prompt("ladybug", ("lady beetle",)),
    Prompt("a castle", ("castle", "Japanese castle")),
    Prompt("an airplane", ("airplane", "small airplane")),
    Prompt("一条鱼", ("fish", "tropical fish")),
    Prompt("一朵玫瑰花", ("rose",)),
    Prompt("汽车", ("automobile", "oncoming automobile", "sport utility vehicle")),
    Prompt("一把钥匙", ("key", "old key")),
    Prompt("圣诞树", ("Christmas tree",)),
    Prompt("西瓜", ("watermelon",)),
    Prompt("一本书", ("closed book", "open book", "blue book", "green book", "orange book", "books")),
    Prompt("火山", ("volcano",)),
    Prompt("雪人", ("snowman", "snowman without snow")),
    Prompt("电脑", ("laptop", "desktop computer")),
    Prompt("a red fish", ("fish", "tropical fish"), "red"),
    Prompt("blue car", ("automobile", "sport utility vehicle", "oncoming automobile"), "blue"),
    Prompt("蓝色的汽车", ("automobile", "sport utility vehicle", "oncoming automobile"), "blue"),
    Prompt("a green bird", ("bird",), "green"),
    Prompt("pink elephant", ("elephant",), "pink"),
    Prompt("purple umbrella", ("umbrella", "closed umbrella"), "purple"),
    Prompt("a yellow butterfly", ("butterfly",), "yellow"),
    Prompt("紫色的帽子", ("top hat", "billed cap", "woman’s hat"), "purple"),
    Prompt("绿色的龙", ("dragon", "dragon face"), "green"),
    Prompt("a blue balloon", ("balloon",), "blue"),
    Prompt("orange cat", ("cat", "cat face"), "orange"),
    Prompt("a red bus", ("bus", "oncoming bus"), "red"),
)
