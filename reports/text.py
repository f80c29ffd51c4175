"""How reports show text that comes from a cluster: every string is hostile.

Escaping for HTML, XML or JSON is the writer's work; this is what must happen
before it. What a reader cannot see, or what would change how the rest is read,
is shown by its code point. What is too long is cut, and the cut is counted.
"""

from __future__ import annotations

LONGEST = 600
_BREAKS = "\n\t"


def shown(value: object, longest: int = LONGEST) -> str:
    """Return `value` as text without invisible characters, at most `longest` characters of it.

    Controls, bidirectional marks, lone surrogates, odd spaces and unassigned
    characters become `⟨U+202E⟩`. Line breaks and tabs stay. The result can be
    encoded as UTF-8 and holds only characters that XML allows.
    """
    text = value if isinstance(value, str) else str(value)
    rest = len(text) - longest
    if rest > 0:
        text = text[:longest]
    if not text.isprintable():
        text = "".join(one if one.isprintable() or one in _BREAKS else _code(one) for one in text)
    return f"{text}… ({rest} more characters)" if rest > 0 else text


def line(value: object, longest: int = LONGEST) -> str:
    """Return `value` as `shown` does, on one line."""
    return " ".join(shown(value, longest).split())


def counted(number: int, thing: str, things: str = "") -> str:
    """Return `1 case`, `2 cases`; `things` is the plural where it is not made with an s."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def _code(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"
