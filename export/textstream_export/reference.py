"""What messages are like, as a bundle sees them: the distributions in its manifest that a worker compares its messages with.

They are measured on messages without labels, not on rows with gold: those were drawn to have every label, and are written
otherwise. Of each language the same number, evenly over its file, so in the mix of its sources. Whoever has messages of one's
own measures on those; then the mix of languages too is that of one's stream.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from textstream.drift import WINDOW_MESSAGES, Reference, reference_of
from textstream.errors import Misconfigured
from textstream.model import bundle as files
from textstream.model.scorer import BATCH, Scorer
from textstream.quality import Quality, quality
from textstream_export.data import read_unlabelled
from textstream_export.place import placed, writing

MOST_TEXTS = 4_000
"""Of each language. Chance in their shares is half of that in a window of 2,000; deep takes a minute or two for them."""
UNLABELLED = f"{MOST_TEXTS:,} messages of each language, evenly over the unlabelled ones of textstream's training data"
OWN = "messages of whoever made this bundle"


def add(bundle: str | Path, data: Path) -> files.Manifest:
    """Measure the reference of a bundle and write it into its manifest, in place: all other files stay as they are."""
    found, scorer = files.read(bundle), Scorer.load(bundle, device="cpu")
    manifest = found.manifest.model_copy(update={"reference": measured(scorer, data)})
    with placed(found.folder) as folder:
        for name in manifest.files:
            with writing(folder / name):
                shutil.copyfile(found.folder / name, folder / name)
        with writing(folder / files.MANIFEST):
            (folder / files.MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return manifest


def measured(scorer: Scorer, data: Path) -> Reference:
    """What a scorer says of messages: those of a folder of rows, or of a file of one's own. Raises Misconfigured."""
    if data.is_dir():
        each = ([row.text for row in read_unlabelled(data, language)] for language in scorer.manifest.languages)
        return reference_of(_judged(scorer, [text for texts in each for text in _spread(texts, MOST_TEXTS)]), UNLABELLED)
    texts = _spread(own_texts(data), MOST_TEXTS * len(scorer.manifest.languages))
    if len(texts) < WINDOW_MESSAGES:
        raise Misconfigured(
            f"{data} holds {len(texts)} messages, fewer than a worker compares at once ({WINDOW_MESSAGES}): give it more"
        )
    return reference_of(_judged(scorer, texts), OWN)


def own_texts(path: Path) -> list[str]:
    """The messages of a file of JSON lines. Raises Misconfigured, with the line where one is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read as UTF-8 text ({error}): name a folder of rows, or JSON lines") from None
    return [_text(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _text(path: Path, number: int, line: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        raise Misconfigured(f'{path}:{number} is not like {{"text": "…"}}: write each message so, on a line of its own')
    return text


def _spread(texts: Sequence[str], most: int) -> list[str]:
    """At most so many of them, evenly over all."""
    step = max(1.0, len(texts) / most)
    return [texts[int(at * step)] for at in range(min(len(texts), most))]


def _judged(scorer: Scorer, texts: Sequence[str]) -> list[Quality]:
    told = []
    for at in range(0, len(texts), BATCH):
        tokens = scorer.tokenise(texts[at : at + BATCH])
        told.append(quality(zip(tokens, scorer.analyse(tokens), strict=True)))
    return told
