"""The rules for passwords.

Length matters most. Passwords that attackers guess first are rejected: common words, also with
digits around them, keyboard rows, the person's own address, and a few repeated characters.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 200
PASSWORD_RULE: Final = (
    f"must be {MIN_LENGTH} to {MAX_LENGTH} characters, and not a common word, "
    "a row of keys or your address"
)

_MIN_DISTINCT: Final = 5
# Compared without leading and trailing digits and signs, which often pad words.
_COMMON_WORDS: Final = """
    access account admin administrator agent alexander andrew anthony asdfgh asdfghjkl ashley
    autumn azerty azertyuiop baseball basketball batman benjamin beautiful butterfly changeit
    changeme charlie chelsea chocolate christmas christopher computer correcthorsebatterystaple
    cheese daniel default dragon elizabeth everything flower football forever freedom gateway
    government guest hello helloworld hunter iloveyou internet jennifer jessica jordan joshua
    jonathan killer letmein letmeinplease liverpool login london manager manchester master matthew
    maverick michael michelle monday monkey mustang mypassword nicholas nopassword november october
    pass passphrase passw passwd password passwordpassword pepper pikachu pokemon prefactor
    princess private qazwsx qazwsxedc qwer qwert qwerty qwertyqwerty qwertyui qwertyuiop qwertz
    qwertzuiop ranger robert root rootroot samantha secret secretpassword security september server
    shadow snoopy soccer spring starwars summer sunshine superman supersecret superuser sysadmin
    system temporary temppassword test testing testtest thisisapassword thisismypassword thomas
    thunder trustno tuesday user victoria wednesday welcome welcomehome whatever william winter
    yankees zaqxsw zxcvbn zxcvbnm
    """
_COMMON: Final = frozenset(_COMMON_WORDS.split())
_ROWS: Final = (
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "0123456789" * 3,
    "9876543210" * 3,
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
)
_LOOKALIKES: Final = str.maketrans("@431!05$7", "aaeiiosst")
_NOT_A_LETTER: Final = re.compile(r"[^a-z]+")


def normalized(password: str) -> str:
    """Return the form to hash. The same letter may be encoded in several ways."""
    return unicodedata.normalize("NFC", password)


def is_acceptable(password: str, email: str) -> bool:
    """Return whether a person with this address may have this password."""
    text = normalized(password)
    if not MIN_LENGTH <= len(text) <= MAX_LENGTH or not text.isprintable():
        return False
    plain = text.casefold()
    address = email.casefold()
    return (
        len(set(plain)) >= _MIN_DISTINCT
        and not any(plain in row or plain[::-1] in row for row in _ROWS)
        and not _is_common(plain)
        and plain not in (address, address.partition("@")[0])
    )


def _is_common(plain: str) -> bool:
    # Digits at the ends are padding. Digits inside a word replace letters.
    core = plain.strip("0123456789!?.#*-_+$ ")
    spelled = {_NOT_A_LETTER.sub("", one) for one in (plain, core, core.translate(_LOOKALIKES))}
    halves = {one[: len(one) // 2] for one in spelled if one[: len(one) // 2] * 2 == one}
    return bool((spelled | halves) & _COMMON)
