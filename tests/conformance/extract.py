"""The requirements of an RFC, taken out of its text: each sentence with a key word of RFC 2119, numbered by section."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

SECTIONS = {"3261": ("10.3", "16", "17", "18")}
"""Of the other RFCs: all."""

STRONG = ("MUST", "SHALL", "REQUIRED", "SHOULD", "RECOMMENDED")
WORDS = {
    "3050": (*STRONG, "MAY", "OPTIONAL"),
    # These three do without the capitals of RFC 2119.
    "4321": ("must", "should"),
    "4475": ("must", "should"),
    "5118": ("must", "should", "SHOULD"),
}

PAGE = re.compile(r"(\S)\s*\n[^\n]*\[Page \d+\]\s*\n(?:RFC \d+ [^\n]*\n)?\s*\n")
HEADING = re.compile(r"^(?:Appendix )?(\d+(?:\.\d+)*|[A-Z](?:\.\d+)*)\.?[ \t]+[^\s.].*$", re.MULTILINE)
CONTENTS = re.compile(r"\.\.|\. \.| \.\s+\d+$")
CONVENTION = re.compile(r'key\s?words "|"MUST"')
ITEM = re.compile(r"^(?:o|-|\d+\.)\s+")
END = re.compile(r'(?<!\be\.g)(?<!\bi\.e)(?<!\bal)(?<!\bvs)(?<!\betc)(?<!^\d)(?<!^\d\d)[.!?][)"]*\s(?=["(<]?[A-Z0-9])')


def requirements(number: str, text: str) -> dict[str, str]:
    """The sentences of RFC `number`, by section and place in it: `16.3-4` is the fourth of section 16.3."""
    words = re.compile(rf"\b(?:{'|'.join(WORDS.get(number, STRONG))})\b")
    roots = SECTIONS.get(number)
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for section, sentence in sentences(text):
        if roots and not any(f"{section}.".startswith(f"{root}.") for root in roots):
            continue
        if words.search(sentence) and not CONVENTION.search(sentence):
            counts[section] += 1
            found[f"{section}-{counts[section]}"] = ITEM.sub("", sentence)
    return found


def sentences(text: str) -> Iterator[tuple[str, str]]:
    """Each sentence below the first heading, with the number of its section."""
    section = ""
    for paragraph in re.split(r"\n\s*\n", HEADING.sub(r"\n\g<0>\n", PAGE.sub(joined, text))):
        heading = HEADING.match(paragraph.lstrip("\n"))
        if heading and not CONTENTS.search(heading[0]):
            section = heading[1]
        elif section:
            start = 0
            paragraph = " ".join(paragraph.split())
            for end in END.finditer(paragraph):
                yield section, paragraph[start : end.end()].strip()
                start = end.end()
            yield section, paragraph[start:]


def joined(page: re.Match[str]) -> str:
    """What stands in place of the end of a page: a new paragraph, unless the sentence goes on."""
    return page[1] + ("\n\n" if page[1] in ".:" else "\n")
