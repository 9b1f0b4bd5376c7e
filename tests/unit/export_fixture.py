"""A made data set in the form of the real one: a few words of each feeling, a few things to speak about."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

GOOD, BAD, SO_SO = ("great", "lovely", "superb"), ("awful", "nasty", "broken"), ("seen", "usual", "open")
THINGS = ("battery", "screen", "front desk", "pizza", "room", "staff", "camera", "waiter", "bed", "phone case")
HAO, HUAI, PING = ("很好", "喜欢", "不错"), ("太差", "垃圾", "失望"), ("开门", "看见", "今天")
DONGXI = ("电池", "屏幕", "前台", "火锅", "房间", "服务员", "相机", "床", "手机壳", "早餐")
FEELINGS = ("positive", "negative", "neutral")

Raw = dict[str, Any]


def write(folder: Path, rows: int = 300, seed: int = 5) -> Path:
    """All fourteen files, with sources of every kind."""
    rng = random.Random(seed)
    for lang in ("en", "zh"):
        for split, count in (("train", rows), ("dev", rows // 6)):
            made = [_row(rng, lang, i, split) for i in range(count)]
            _file(folder / f"sentiment.{lang}.{split}.jsonl.gz", [_sentiment(row) for row in made])
            _file(folder / f"aspects.{lang}.{split}.jsonl.gz", [_aspects(row) for row in made])
            _file(folder / f"terms.{lang}.{split}.jsonl.gz", [_terms(row, i) for i, row in enumerate(made)])
        made = [_row(rng, lang, i, "unlabelled") for i in range(rows // 6)]
        messages = [{"text": row["text"], "lang": lang, "source": "u_tweets"} for row in made]
        _file(folder / f"unlabelled.{lang}.jsonl.gz", messages)
    return folder


def _row(rng: random.Random, lang: str, number: int, split: str) -> Raw:
    feeling = rng.randrange(3)
    thing = rng.choice(THINGS if lang == "en" else DONGXI)
    word = rng.choice(((GOOD, BAD, SO_SO) if lang == "en" else (HAO, HUAI, PING))[feeling])
    tail = f"{split} {number}" if lang == "en" else f"第{number}次{'训练' if split == 'train' else '验证'}"
    text = f"the {thing} is {word} , {tail}" if lang == "en" else f"这个{thing}{word}，{tail}"
    return {"text": text, "thing": thing, "feeling": FEELINGS[feeling], "lang": lang}


def _sentiment(row: Raw) -> Raw:
    source = "tweeteval_sentiment" if row["lang"] == "en" else "smp2020_usual"
    return {"text": row["text"], "label": row["feeling"], "lang": row["lang"], "source": source}


def _aspects(row: Raw) -> Raw:
    begin = row["text"].index(row["thing"])
    aspect = {"term": row["thing"], "begin": begin, "end": begin + len(row["thing"]), "sentiment": row["feeling"]}
    source = "absa_mams" if row["lang"] == "en" else "aste_zh_dianping"
    return {"text": row["text"], "aspects": [aspect], "lang": row["lang"], "source": source}


def _terms(row: Raw, number: int) -> Raw:
    names = ("tweets_kw", "wnut17") if row["lang"] == "en" else ("tnews_kw", "weibo_ner")
    return {"text": row["text"], "terms": [row["thing"]], "lang": row["lang"], "source": names[number % 2]}


def append(path: Path, **row: str) -> None:
    """One more row at the end of a file."""
    with gzip.open(path, "at", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _file(path: Path, rows: list[Raw]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
