"""The languages of speech recognition: ISO 639-1 codes, and their names in answers.

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
"""Chinese has two scripts: a code with a region or script selects one. With `zh` the prompt decides."""

DETECTED = ("", "auto")
"""The values with which clients request detection."""

_SYNONYMS = {"jv": "jw"}  # ISO 639-1's own code of Javanese


def check_language(field: str, value: str | None) -> str | None:
    """Return the code of a language, or None for detection. Raises InvalidRequest naming `field`."""
    if value is None or value.lower() in DETECTED:
        return None
    code = "zh" if value.lower() in SCRIPTS else _SYNONYMS.get(value.lower(), value.lower())
    if code not in NAMES:
        raise InvalidRequest(
            f"Invalid language '{value[:40]}'. Language parameter must be specified in ISO-639-1 format.",
            param=field,
            code="invalid_language_format",
        )
    return code
