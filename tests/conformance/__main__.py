"""`python tests/conformance [FOLDER]`: writes docs/conformance.md, with FOLDER the requirements of its RFCs first."""

import sys
from pathlib import Path

import yaml
from extract import requirements
from ledger import DOCUMENT, REQUIREMENTS, TITLES, document, ledger

if len(sys.argv) > 1:
    for number in TITLES:
        found = requirements(number, (Path(sys.argv[1]) / f"rfc{number}.txt").read_text("utf-8"))
        text = yaml.safe_dump(found, sort_keys=False, width=120, allow_unicode=True)
        (REQUIREMENTS / f"rfc{number}.yaml").write_text(text, "utf-8")
made = ledger()
DOCUMENT.write_text(document(made.rows), "utf-8")
for mistake in made.mistakes():
    print(mistake)
