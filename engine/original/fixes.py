"""Corrected physics: which of the original's oddities a run computes right instead."""

from __future__ import annotations

from nanobragg.engine.errors import BadInput

Fixes = frozenset[str]
NONE: Fixes = frozenset()


NAMES = {  # what users ask for by name, as far as it is there
    "phi-carryover": ["Q01"],
    "interpolation": ["Q02", "Q03"],
    "oversampling": ["Q04", "Q07", "Q10", "Q11", "Q16"],
    "thickness": ["Q05", "Q06", "Q08", "Q101"],
    "background": ["Q12", "Q13"],
    "weights": ["Q15"],
    "curved": ["Q18"],
    "point-pixel": ["Q19"],
    "spot-shape": ["Q20", "Q21"],
    "sampling": ["Q34", "Q35", "Q36", "Q38", "Q39", "Q41"],
    "random": ["Q44", "Q45", "Q48", "Q49", "Q50", "Q52", "Q53"],
    "files": [
        "Q54",
        "Q55",
        "Q56",
        "Q58",
        "Q59",
        "Q60",
        "Q61",
        "Q62",
        "Q64",
        "Q66",
        "Q67",
        "Q68",
        "Q69",
        "Q70",
        "Q71",
    ],
    "flags": ["Q92", "Q93"],
    "smv": ["Q74", "Q75", "Q77", "Q78", "Q79", "Q80", "Q102"],
    "placement": ["Q83", "Q84", "Q85", "Q88", "Q90"],
    "report": ["Q28", "Q29", "Q30", "Q31"],
    "cell": ["Q100"],
}
ALONE = ["Q17", "Q22", "Q25", "Q26", "Q81", "Q82", "Q94"]
FIXABLE: Fixes = frozenset([i for ids in NAMES.values() for i in ids] + ALONE)
ANYWAY: Fixes = frozenset(["Q51", "Q91", "Q99"])  # texts and errors that need no switch


def fixes_of(text: str) -> Fixes:
    """The oddities that a list names: ids, short names, or ``all``, separated by commas.

    Raises
    ------
    BadInput
        For a name that is unknown, or of what is kept.
    """
    chosen: set[str] = set()
    for word in text.split(","):
        name = word.strip()
        number = f"Q{int(name[1:]):02}" if name[:1] in "Qq" and name[1:].isascii() and name[1:].isdigit() else ""
        if name == "all":
            chosen |= FIXABLE
        elif name in NAMES:
            chosen |= set(NAMES[name])
        elif number in FIXABLE:
            chosen.add(number)
        elif number in ANYWAY:
            continue
        elif number:
            raise BadInput(f"--fix {name}: is a convention or an approximation that is kept; there is nothing to fix")
        else:
            raise BadInput(f"--fix {name}: not one of {', '.join(NAMES)}, all, or ids like Q01")
    return frozenset(chosen)


def shown(fixes: Fixes) -> str:
    """The ids in order, or ``all``."""
    if fixes == FIXABLE:
        return "all"
    return " ".join(sorted(fixes, key=lambda name: int(name[1:])))
