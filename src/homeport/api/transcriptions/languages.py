"""The languages of speech recognition: ISO 639-1 codes and the names that answers call them by.

The list is that of Whisper (Radford et al. 2022), in English, in lower case. Three of its codes are of ISO 639-3.
"""

from homeport.domain.errors import InvalidRequest

_LISTED = """af afrikaans,am amharic,ar arabic,as assamese,az azerbaijani,ba bashkir,be belarusian,bg bulgarian,
bn bengali,bo tibetan,br breton,bs bosnian,ca catalan,cs czech,cy welsh,da danish,de german,el greek,en english,
es spanish,et estonian,eu basque,fa persian,fi finnish,fo faroese,fr french,gl galician,gu gujarati,haw hawaiian,
ha hausa,he hebrew,hi hindi,hr croatian,ht haitian creole,hu hungarian,hy armenian,id indonesian,is icelandic,
it italian,ja japanese,jw javanese,ka georgian,kk kazakh,km khmer,kn kannada,ko korean,la latin,lb luxembourgish,
ln lingala,lo lao,lt lithuanian,lv latvian,mg malagasy,mi maori,mk macedonian,ml malayalam,mn mongolian,mr marathi,
ms malay,mt maltese,my myanmar,ne nepali,nl dutch,nn nynorsk,no norwegian,oc occitan,pa punjabi,pl polish,ps pashto,
pt portuguese,ro romanian,ru russian,sa sanskrit,sd sindhi,si sinhala,sk slovak,sl slovenian,sn shona,so somali,
sq albanian,sr serbian,su sundanese,sv swedish,sw swahili,ta tamil,te telugu,tg tajik,th thai,tk turkmen,tl tagalog,
tr turkish,tt tatar,uk ukrainian,ur urdu,uz uzbek,vi vietnamese,yi yiddish,yo yoruba,yue cantonese,zh chinese"""

NAMES: dict[str, str] = {
    code: name for code, _, name in (each.strip().partition(" ") for each in _LISTED.replace("\n", "").split(","))
}
SCRIPTS = {
    "zh-cn": "simplified",
    "zh-hans": "simplified",
    "zh-tw": "traditional",
    "zh-hk": "traditional",
    "zh-hant": "traditional",
}
"""Chinese is one language in two scripts: the one that a code names. `zh` alone leaves it to the prompt."""

DETECTED = ("", "auto")
"""How clients ask for detection who name a language always."""

_SAME = {"jv": "jw"}  # ISO 639-1's own code of Javanese


def check_language(field: str, given: str | None) -> str | None:
    """The code of a language that was asked for, None where it is to be detected. Raises InvalidRequest."""
    if given is None or given.lower() in DETECTED:
        return None
    code = "zh" if given.lower() in SCRIPTS else _SAME.get(given.lower(), given.lower())
    if code not in NAMES:
        raise InvalidRequest(
            f"Invalid language '{given[:40]}'. Language parameter must be specified in ISO-639-1 format.",
            param=field,
            code="invalid_language_format",
        )
    return code
