"""Is a text in another language than its neighbours? By stop words and script: crude, and enough to find strays."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["language"]

_WORD = re.compile(r"[^\W\d_]+")
_FEWEST = 8  # words; shorter texts are names and figures in any language
_SHARE = 0.12  # of words that are stop words; running text has 0.25 and more, a list of names none
_LEAD = 1.5  # times the second best: "de", "la" and "in" belong to several
_STOP = {
    "English": "the of and to in a is that for on was with as it by at from be are this have has had not but which or",
    "German": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus",
    "French": "de la le et les des en un du une est que pour qui dans par plus sur au avec ne se ce sont aux a",
    "Spanish": "de la que el en y a los del se las por un para con no una su al lo como más pero sus le ya",
    "Italian": "di e il la che in a per un è del da non le con si una i della sono al come più dei alla nel",
    "Portuguese": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao das foi",
    "Dutch": "de en van het een in is dat op te voor met zijn die niet aan er om ook als dan maar bij door naar",
}
_SETS = {name: frozenset(words.split()) for name, words in _STOP.items()}


def language(text: str) -> str:
    """Language or script of `text`; "" when it cannot be told.

    >>> language("Les rendements ont monté dans la nuit et les fonds sont en retrait")
    'French'
    """
    letters = [c for c in text if c.isalpha()]
    foreign = [c for c in letters if ord(c) > 0x24F]
    if len(foreign) > len(letters) / 2:
        return unicodedata.name(foreign[0], "other").split()[0].title()
    words = [w.casefold() for w in _WORD.findall(text)]
    if len(words) < _FEWEST:
        return ""
    shares = sorted(((sum(w in stop for w in words) / len(words), name) for name, stop in _SETS.items()), reverse=True)
    (best, name), (second, _) = shares[:2]
    return name if best >= _SHARE and best >= _LEAD * second else ""
