"""Writes `textstream/model/letters.npz`: how likely groups of 1 to 3 letters are in languages of Latin script.

The counts are the profiles that the package langdetect ships (MIT; from Nakatani Shuyo's language-detection, Apache-2.0).
Run by hand: `python -m textstream_export.make_letters PROFILES_DIR`. A changed table is a new `TEXT_VERSION`.
"""

import json
import sys
from pathlib import Path

import numpy as np

from textstream.model.language import OTHERS

LANGUAGES = ("en", *OTHERS)
STEP = 16.0
"""Log-likelihood ratios are stored in sixteenths, as 8-bit integers: ±8 nats."""
FLOOR = 2e-6
"""Share of a language's letter groups below which a count says nothing."""
TELLING = 0.7
"""A group is kept when some language's log-ratio to English is at least this far from 0."""


def main(argv: list[str]) -> None:
    """Read the profiles in the folder `argv[0]`, write the table beside textstream.model.language."""
    import textstream.model

    profiles = {lang: json.loads(Path(argv[0], lang).read_text(encoding="utf-8")) for lang in LANGUAGES}
    shares: dict[str, dict[str, float]] = {}
    for lang, profile in profiles.items():
        for group, count in profile["freq"].items():
            # Letters are lower-cased before they are looked up: capitals add to their small ones.
            row = shares.setdefault(group.lower(), {})
            row[lang] = row.get(lang, 0.0) + count / profile["n_words"][len(group) - 1]
    groups = sorted(group for group, row in shares.items() if max(row.values()) >= 20 * FLOOR and len(group) > 1)
    table = np.array([[shares[g].get(lang, 0.0) + FLOOR * 10 for lang in LANGUAGES] for g in groups])
    ratios = np.log(table[:, 1:] / table[:, :1])
    kept = np.abs(ratios).max(1) >= TELLING
    stored = np.clip(np.rint(ratios[kept] * STEP), -127, 127).astype(np.int8)
    names = "\n".join(g for g, keep in zip(groups, kept, strict=True) if keep)
    target = Path(textstream.model.__file__).with_name("letters.npz")
    np.savez_compressed(
        target, groups=np.frombuffer(names.encode(), np.uint8), ratios=stored, languages=np.array(LANGUAGES[1:]), step=STEP
    )
    print(target, len(stored), "groups")


if __name__ == "__main__":
    main(sys.argv[1:])
