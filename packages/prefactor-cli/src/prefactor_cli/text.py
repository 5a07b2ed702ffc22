"""Formats texts for people: numbers, and agents' texts without control characters."""


def printable(text: str) -> str:
    """Return a text on one line, without characters that control a terminal.

    For Python, control characters and marks that reorder text are not printable.
    """
    return "".join(each if each.isprintable() else "�" for each in " ".join(text.split()))


def printable_lines(text: str) -> list[str]:
    """Return the lines of a text, without characters that control a terminal."""
    spaced = text.expandtabs(4).replace("\r\n", "\n")
    return [
        "".join(each if each.isprintable() else "�" for each in line) for line in spaced.split("\n")
    ]


def escaped(json_text: str) -> str:
    r"""Escape characters that control a terminal in a JSON text as `\uXXXX`.

    The value does not change: outside of strings, JSON has no such character except line breaks.
    """
    if json_text.isprintable():
        return json_text
    return "".join(
        each if each.isprintable() or each == "\n" else _escape(each) for each in json_text
    )


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFFFF:  # noqa: PLR2004 - the size of JSON's escapes
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def count(number: int) -> str:
    """Return a number with thousands separators."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless the number is one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
