"""Pseudonyms of words: the same word always has the same one, of the same shape, and nobody can go back.

A word is a run of letters and digits; what is between words (punctuation, blanks, line breaks) stays. Each character is
replaced by one of the same kind and of the same length in UTF-8 and in UTF-16, so every position in a text stays what
it was, in whichever encoding it counts. Letters of another case are the same word (`Cart`, `cart`, `CART`). Words of
the protocol and keywords of programming languages stay, as do numbers of up to four digits.

Pseudonyms are drawn with a keyed hash whose key nobody keeps, so no dictionary leads back. They have no vowels where
there is room for that, and none is a word that stays or that was in the originals.
"""

from __future__ import annotations

import hmac
import keyword
import re
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Final
from unicodedata import normalize

import lsprotocol.types

_LETTERS_AND_DIGITS: Final = r"(?P<word>(?:[A-Za-z0-9]|[^\x00-\x7f\s])+)"
_WORD: Final = re.compile(_LETTERS_AND_DIGITS)
_WORD_OR_ESCAPE: Final = re.compile(r"\\[nrtbfv0\"'\\]|" + _LETTERS_AND_DIGITS)
_WINDOWS_PATH: Final = re.compile(r"[A-Za-z]:\\|\\\\")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]{1,4}|[0-9]{1,4}(?:[eE][0-9]{1,2})?[fFlLuUn]?|[0-9]{1,4}")
_PARTS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_CONSONANTS: Final = "bcdfghjklmnpqrstvwxz"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = "0123456789"
_TWO_BYTES: Final = "".join(
    # Compilers normalise identifiers, and two names must stay two.
    character
    for character in map(chr, range(0x100, 0x530))
    if character.isalpha() and normalize("NFKC", character) == character
)
_THREE_BYTES: Final = "".join(map(chr, range(0x4E00, 0xA000)))
_FOUR_BYTES: Final = "".join(map(chr, range(0x20000, 0x2A6DE)))
_UNDECODABLE: Final = "".join(map(chr, range(0xDC80, 0xDD00)))

_EXTENSIONS: Final = (
    "py pyi pyx ts tsx mts cts js jsx mjs cjs json jsonc jsonl c h cc cpp cxx hpp hh cs rs go java kt kts rb php swift "
    "lua sh bash zsh html css scss less vue svelte md toml yaml yml xml txt lock cfg ini sql tf zig hs ml ex exs erl "
    "dart scala clj nix astro gleam"
)
_KEYWORDS: Final = (
    "abstract as async await auto bool boolean break byte case catch char class const constexpr continue crate default "
    "defer delete do double dyn elif else end enum except export extends extern fallthrough false final finally float "
    "fn for foreach from func function go goto if impl implements import in include inline instanceof int interface "
    "internal is isize let long loop macro map match mod module move mut mutable namespace never new nil noexcept not "
    "null number object of operator or override package private protected pub public range readonly ref register "
    "require return self select short signed sizeof static str strictfp string struct super switch symbol template "
    "then this throw throws trait transient true try type typedef typename typeof undefined union unknown unless "
    "unsafe unsigned until use using usize var virtual void volatile when where while with xor yield "
    "i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 int8 int16 int32 int64 uint uint8 uint16 uint32 uint64"
)
_CONVENTIONS: Final = "file http https untitled utf utf8 c jsonrpc lsp tap content length charset vscode application"


@cache
def find_kept_words() -> frozenset[str]:
    """In small letters: those of LSP's methods and enumerations, keywords, suffixes of files, schemes of URIs."""
    kept = set(f"{_EXTENSIONS} {_KEYWORDS} {_CONVENTIONS}".split())
    kept.update(word.lower() for word in (*keyword.kwlist, *keyword.softkwlist) if word != "_")
    values = [str(member.value) for enum in _find_enums() for member in enum if isinstance(member.value, str)]
    for text in (*lsprotocol.types.METHOD_TO_TYPES, *values):
        for word in re.findall(r"[A-Za-z0-9]+", str(text)):
            kept.add(word.lower())
            kept.update(part.lower() for part in _PARTS.findall(word) if len(part) > 1)
    return frozenset(kept)


def _find_enums() -> list[type[Enum]]:
    found = (getattr(lsprotocol.types, name) for name in dir(lsprotocol.types))
    return [value for value in found if isinstance(value, type) and issubclass(value, Enum)]


class Pseudonyms:
    """The words of one bundle. First every text goes through `collect_text`, then through `replace_text`.

    `places` counts what was replaced, by what it is.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._kept = find_kept_words()
        self._originals: set[str] = set()
        self._by_word: dict[str, str] = {}
        self._used: set[str] = set()
        self.places: Counter[str] = Counter()

    @property
    def word_count(self) -> int:
        return len(self._by_word)

    def collect_text(self, text: str) -> str:
        """Notes the words, so that no pseudonym is one of them; returns the text as it is."""
        for found in _find_words(text):
            word = found["word"]
            if word and not self._stays(word):
                self._originals.add(word.lower() if word.isascii() else word)
        return text

    def replace_text(self, text: str) -> str:
        """The text with every word replaced, character for character."""
        pieces: list[str] = []
        at = 0
        for found in _find_words(text):
            if found["word"]:
                pieces += text[at : found.start()], self.replace_word(found["word"])
                at = found.end()
        pieces.append(text[at:])
        return "".join(pieces)

    def replace_word(self, word: str) -> str:
        if self._stays(word):
            return word
        self.places["numbers" if word.isascii() and word.isdigit() else "words"] += 1
        lower = word.lower() if word.isascii() else word
        pseudonym = self._by_word.get(lower)
        if pseudonym is None:
            pseudonym = self._by_word[lower] = self._draw(lower)
            self._used.add(pseudonym)
        if lower == word:
            return pseudonym
        return "".join(new.upper() if old.isupper() else new for old, new in zip(word, pseudonym, strict=True))

    def _stays(self, word: str) -> bool:
        return word.lower() in self._kept or _NUMBER.fullmatch(word) is not None

    def _draw(self, word: str) -> str:
        digest = int.from_bytes(hmac.digest(self._key, word.encode("utf-8", "surrogatepass"), "sha256"))
        narrow = [_find_alphabet(character, roomy=len(word) > 2) for character in word]
        wide = [_find_alphabet(character, roomy=False) for character in word]
        if word[0] in _DIGITS:  # a number with a leading zero would be none in many languages
            narrow[0] = wide[0] = "0" if word[0] == "0" else _DIGITS[1:]
        # Short words may have to be permuted among themselves; then another's is better than the word's own.
        for alphabets, forbidden in ((narrow, self._originals), (wide, self._originals), (wide, {word}), (wide, set())):
            size = 1
            for alphabet in alphabets:
                size *= len(alphabet)
            for step in range(min(size, 20_000)):
                drawn = _spell((digest + step) % size, alphabets)
                if (
                    drawn not in self._used
                    and drawn not in self._kept
                    and drawn not in forbidden
                    and not _NUMBER.fullmatch(drawn)
                ):
                    return drawn
        return _spell(digest, wide)


def _find_words(text: str) -> Iterator[re.Match[str]]:
    """In code the `n` of `\\n` belongs to no word; in a path it does."""
    return (_WORD if _WINDOWS_PATH.match(text) else _WORD_OR_ESCAPE).finditer(text)


def _find_alphabet(character: str, *, roomy: bool) -> str:
    if character.isascii():
        if character.isdigit():
            return _DIGITS
        return _CONSONANTS if roomy else _LETTERS
    if "\udc80" <= character <= "\udcff":
        return _UNDECODABLE
    if "\ud800" <= character <= "\udfff":
        return character  # half of a pair; it says nothing
    return _TWO_BYTES if character < "\u0800" else _THREE_BYTES if character < "\U00010000" else _FOUR_BYTES


def _spell(number: int, alphabets: list[str]) -> str:
    spelled = []
    for alphabet in alphabets:
        number, at = divmod(number, len(alphabet))
        spelled.append(alphabet[at])
    return "".join(spelled)
