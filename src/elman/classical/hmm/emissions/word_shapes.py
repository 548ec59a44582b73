"""What the form of a word says of one that was never seen: its shape, and its endings (Brants 2000)."""


def shape(word: str) -> str:
    """Digits, no letters at all, all capitals, a capital first, or none; and whether there is a hyphen inside.

    Example:
        >>> [shape(word) for word in ("1990s", "...", "NATO", "Paris", "well-known")]
        ['0', '.', 'A', 'C', 'a-']
    """
    if any(letter.isdigit() for letter in word):
        kind = "0"
    elif not any(letter.isalpha() for letter in word):
        kind = "."
    elif word.isupper() and len(word) > 1:
        kind = "A"
    else:
        kind = "C" if word[0].isupper() else "a"
    return kind + ("-" if "-" in word and len(word) > 1 else "")


def forms(word: str, max_suffix: int) -> list[str]:
    """The shape of a word, then with each of its endings, the longest last.

    Example:
        >>> forms("Going", 3)
        ['C ', 'C g', 'C ng', 'C ing']
    """
    kind, lowered = shape(word), word.lower()
    return [f"{kind} {lowered[len(lowered) - size :]}" for size in range(min(max_suffix, len(lowered)) + 1)]
