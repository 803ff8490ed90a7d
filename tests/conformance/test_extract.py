"""Sentences out of the text of an RFC, whatever its pages and lists do to them."""

import pytest
from extract import requirements

TEXT = """\


Network Working Group                                          A. Author
Request for Comments: 9999                                          2002

Table of Contents

   1.  Widgets .......................................................1
   2.  More of them ..................................................2

1.  Widgets

   The key words "MUST", "SHOULD" are as usual.  A widget MUST turn,
   e.g. SHOULD it stand.  It may rest.  It MUST NOT wobble, as section 4.
   of RFC 3261 says.

      1. It SHOULD be round (see "Shapes", or
         not).  That is RECOMMENDED.

      o  A long one, which this page does not hold, MUST



Author                      Standards Track                     [Page 1]

RFC 9999                         Widgets                       June 2002


      go on.

   This is the end of a page, and it MUST stay one:



Author                      Standards Track                     [Page 2]

RFC 9999                         Widgets                       June 2002


2.  More of them

   A widget is a thing.

2.1 Of RFC 3261

   Two of them MUST agree.
   And they SHALL.

Appendix A.  Others

   None MUST be here.
"""


def test_each_sentence_with_a_key_word_by_its_section() -> None:
    assert requirements("9999", TEXT) == {
        "1-1": "A widget MUST turn, e.g. SHOULD it stand.",
        "1-2": "It MUST NOT wobble, as section 4. of RFC 3261 says.",
        "1-3": 'It SHOULD be round (see "Shapes", or not).',
        "1-4": "That is RECOMMENDED.",
        "1-5": "A long one, which this page does not hold, MUST go on.",
        "1-6": "This is the end of a page, and it MUST stay one:",
        "2.1-1": "Two of them MUST agree.",
        "2.1-2": "And they SHALL.",
        "A-1": "None MUST be here.",
    }


def test_of_rfc_3261_what_concerns_a_proxy_or_registrar() -> None:
    assert requirements("3261", TEXT) == {}
    assert requirements("3261", TEXT.replace("\n2.1 Of", "\n17.2.1 Of")).keys() == {"17.2.1-1", "17.2.1-2"}
    assert requirements("3261", TEXT.replace("\n2.1 Of", "\n177 Of")) == {}


@pytest.mark.parametrize(("number", "places"), [("3050", {"1-1", "1-2", "1-3"}), ("4475", {"1-1"})])
def test_other_words_count_in_some(number: str, places: set[str]) -> None:
    text = "1 All\n\n   It MUST be.\n   It MAY be.\n   It is OPTIONAL.\n   It should be.\n"
    found = requirements(number, text)
    assert found.keys() == places
