"""Where each key of a TOML document stands, because tomllib does not say.

``positions(text)`` takes a document that tomllib has already accepted, so this reader only has to know where keys
and values begin and end; it does not check anything. A path is a tuple of keys and array indices as tomllib nests
them: the ``ng`` of the second ``[[media]]`` is ``("media", 1, "ng")``.
"""

from __future__ import annotations

KeyPath = tuple[str | int, ...]

_SPACE = " \t\r"
_BARE_VALUE_END = ",]}#\n"


def positions(text: str) -> dict[KeyPath, int]:
    """Map the path of every table, key and array element to its line, counted from 1."""
    return _Reader(text).document()


def line_of(found: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of ``path``, or of the nearest thing around it that is written down; 0 when nothing is."""
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return 0


class _Reader:
    """A cursor over the text. Every method leaves it behind what the method's name says."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.found: dict[KeyPath, int] = {}
        self.lengths: dict[KeyPath, int] = {}
        """How many elements each ``[[array of tables]]`` has so far."""

    def document(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip_to_content():
            if self._starts("[["):
                table = self._array_header()
            elif self._starts("["):
                table = self._table_header()
            else:
                self._pair(table)
        return self.found

    def _array_header(self) -> KeyPath:
        line = self.line
        self._advance(2)
        array = self._resolved(self._key())
        self._advance(2)
        index = self.lengths.get(array, 0)
        self.lengths[array] = index + 1
        self._note(array, line)
        self.found[(*array, index)] = line
        return (*array, index)

    def _table_header(self) -> KeyPath:
        line = self.line
        self._advance(1)
        keys = self._key()
        self._advance(1)
        for length in range(1, len(keys) + 1):
            self._note(self._resolved(keys[:length]), line)
        return self._resolved(keys)

    def _pair(self, table: KeyPath) -> None:
        line = self.line
        path = (*table, *self._key())
        for length in range(len(table) + 1, len(path) + 1):
            self._note(path[:length], line)
        self._skip_space()
        self._advance(1)  # the equals sign
        self._skip_space()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._starts('"""', "'''"):
            self._string(self.text[self.at : self.at + 3])
        elif self._starts('"', "'"):
            self._string(self.text[self.at])
        elif self._starts("["):
            self._array(path)
        elif self._starts("{"):
            self._inline_table(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in _BARE_VALUE_END:
                self._advance(1)

    def _array(self, path: KeyPath) -> None:
        self._advance(1)
        index = 0
        while self._skip_to_content() and not self._starts("]"):
            self._note((*path, index), self.line)
            self._value((*path, index))
            index += 1
            if self._skip_to_content() and self._starts(","):
                self._advance(1)
        self._advance(1)

    def _inline_table(self, path: KeyPath) -> None:
        self._advance(1)
        while self._skip_to_content() and not self._starts("}"):
            self._pair(path)
            if self._skip_to_content() and self._starts(","):
                self._advance(1)
        self._advance(1)

    def _key(self) -> KeyPath:
        parts: list[str] = []
        while True:
            self._skip_space()
            parts.append(self._key_part())
            self._skip_space()
            if not self._starts("."):
                return tuple(parts)
            self._advance(1)

    def _key_part(self) -> str:
        start = self.at
        if self._starts('"', "'"):
            quote = self.text[self.at]
            self._string(quote)
            written = self.text[start + 1 : self.at - 1]
            return written if quote == "'" else _unescaped(written)
        while self.at < len(self.text) and (self.text[self.at].isalnum() or self.text[self.at] in "_-"):
            self._advance(1)
        return self.text[start : self.at]

    def _string(self, quote: str) -> None:
        self._advance(len(quote))
        while self.at < len(self.text) and not self._starts(quote):
            self._advance(2 if quote[0] == '"' and self._starts("\\") else 1)
        self._advance(len(quote))
        # A multi-line string may end in one or two quotes of its own before the closing three.
        while len(quote) > 1 and self._starts(quote[0]):
            self._advance(1)

    def _resolved(self, keys: KeyPath) -> KeyPath:
        """``keys`` as tomllib nests them: a name that is an array of tables means its last element."""
        path: KeyPath = ()
        for key in keys[:-1]:
            path = self._last_element((*path, key))
        return (*path, *keys[-1:])

    def _last_element(self, path: KeyPath) -> KeyPath:
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _note(self, path: KeyPath, line: int) -> None:
        self.found.setdefault(path, line)

    def _starts(self, *what: str) -> bool:
        return self.text.startswith(what, self.at)

    def _advance(self, count: int) -> None:
        end = min(self.at + count, len(self.text))
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def _skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1

    def _skip_to_content(self) -> bool:
        """Go past blank lines and comments; False at the end of the text."""
        while self.at < len(self.text):
            if self._starts("#"):
                end = self.text.find("\n", self.at)
                self._advance((len(self.text) if end < 0 else end) - self.at)
            elif self.text[self.at] in _SPACE or self.text[self.at] == "\n":
                self._advance(1)
            else:
                return True
        return False


def _unescaped(written: str) -> str:
    """A basic string's content; only its value as a key matters, and odd escapes merely lose a line number."""
    return written.encode("latin-1", "backslashreplace").decode("unicode_escape") if "\\" in written else written
