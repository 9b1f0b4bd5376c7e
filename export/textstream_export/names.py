"""Personal names of many origins, as messages in English and in Chinese write them.

    drawn(lang, gender, rng)    a name for training, out of thousands
    RECOGNISED[lang]            names that are found in a text, with their gender
    KEPT[lang]                  names for the behaviour suite, which `drawn` never gives

The lists below are written by hand. No name in them is also a common word of its language ("Will", "Joy"), so that one found
in a text is a name; every fifth is kept for the suite. `names.txt` has more, and Chinese ones are put together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Literal

Gender = Literal["female", "male"]

KEPT_EVERY = 5
"""Of each list, one name in so many is never trained on."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one use in one language."""

    female: tuple[str, ...]
    male: tuple[str, ...]

    def of(self, gender: Gender) -> tuple[str, ...]:
        """Those of one gender."""
        return self.female if gender == "female" else self.male

    @property
    def every(self) -> tuple[str, ...]:
        """All of them."""
        return self.female + self.male


_EN_FEMALE = """
Emily Jessica Ashley Sarah Amanda Megan Lauren Rachel Hannah Samantha Olivia Charlotte Abigail Madison Chloe Sophie Lucy
Alice Katie Laura Rebecca Michelle Stephanie Jennifer Heather Nicole Kimberly Claire Helen Margaret Susan Linda Karen
Patricia Barbara Elizabeth Victoria Caroline Diane Molly Ellie Zoe
Maria Sofia Camila Valentina Lucia Guadalupe Ximena Rosario Esperanza Catalina Marisol Yolanda Paola Daniela Gabriela
Latoya Keisha Shaniqua Tamika Lakisha Aaliyah Imani Nia Kiara Tanisha Jamila
Fatima Aisha Zainab Khadija Layla Maryam Noor Yasmin Amira Salma Hafsa Samira Leila Rania Soraya Nasrin Parisa Shirin
Priya Ananya Divya Lakshmi Kavita Sunita Deepika Meera Anjali Pooja Shreya Aditi Nandini Harpreet Simran Nusrat Tahmina
Meiling Xiaoli Yuxin Jiayi Huifen Yanyan Lihua Mingzhu Sakura Yuki Haruka Aiko Naomi Keiko Soojin Jiwoo Minji Hyejin Eunji
Linh Thuy Trang Ngoc Siti Dewi Ayu Putri Malee Somchai Tala Mayumi
Ngozi Chioma Adaeze Amara Folake Yetunde Abena Akosua Wanjiru Achieng Nomvula Thandiwe Zanele Lindiwe Selam Hiwot Makeda
Olga Svetlana Natalia Irina Tatiana Anastasia Oksana Katarzyna Agnieszka Zuzana Jelena Milena Ivana Bozena Raluca
Ingrid Astrid Freya Sigrid Solveig Annika Elsa Aino Greta Heidi Ursula Brigitte Anneliese Femke Saskia Maaike
Amelie Celine Margaux Elodie Chantal Giulia Francesca Chiara Bianca Ottavia Eleni Despina Ioanna Katerina
Elif Zeynep Aylin Esra Gulsen Rivka Shoshana Miriam Tzipora Devorah Siobhan Aoife Niamh Saoirse Bronwyn Carys Moana Leilani
Kalani Aroha Winona Nizhoni
"""

_EN_MALE = """
James John Robert Michael William David Richard Thomas Daniel Matthew Anthony Steven Paul Andrew Joshua Kevin Brian George
Edward Ronald Timothy Jason Jeffrey Ryan Jacob Nicholas Eric Jonathan Stephen Justin Scott Brandon Benjamin Samuel Gregory
Patrick Alexander Dennis Tyler Aaron Ethan Logan Liam Connor Callum Oliver Harry Simon Nigel Graham Geoffrey
Carlos Juan Jose Luis Miguel Alejandro Diego Javier Rodrigo Fernando Santiago Mateo Emilio Joaquin Rafael Hector
Jamal DeShawn Tyrone Darnell Malik Terrell LeBron Marquis DeAndre Kareem Trevon Jermaine Lamar Rasheed
Mohammed Ahmed Ali Omar Hassan Ibrahim Khalid Yusuf Mustafa Abdullah Tariq Bilal Karim Hamza Reza Farhad Behzad Kourosh
Raj Arjun Vikram Sanjay Rahul Amit Rohan Suresh Anil Ganesh Krishnan Arvind Gurpreet Manpreet Imran Faisal Tanvir Nabil
Wei Haoyu Zhiqiang Jianguo Xiaoming Guowei Bolin Hiroshi Takeshi Kenji Haruto Daichi Ryota Minho Jihoon Seungmin Joonho
Nguyen Minh Duc Tuan Quang Budi Agus Putra Anong Kasem Rizal Jomar
Chinedu Emeka Oluwaseun Babatunde Tunde Kwame Kofi Kwabena Kamau Otieno Sipho Thabo Themba Mandla Tesfaye Abebe Dawit Sekou
Ivan Dmitri Sergei Vladimir Boris Oleksandr Mykola Piotr Krzysztof Tomasz Jakub Milos Goran Zoran Bogdan Radu
Lars Sven Bjorn Anders Magnus Erik Mikko Jukka Hans Klaus Jurgen Dieter Wolfgang Pieter Joost Sander
Pierre Jacques Laurent Thierry Mathieu Giovanni Luca Matteo Lorenzo Giuseppe Nikos Stavros Dimitris Yannis
Mehmet Emre Burak Hakan Cem Moshe Shlomo Yitzhak Ari Avi Sean Padraig Cillian Declan Rhys Gareth Tane Keanu Ikaika Wiremu
Sakari Kohana
"""

_SURNAMES = """
Smith Johnson Williams Jones Davis Miller Wilson Anderson Taylor Thompson Garcia Martinez Rodriguez Hernandez Lopez Gonzalez
Washington Jefferson Booker Okafor Adeyemi Mensah Mwangi Dlamini Tadesse Diallo Khan Hussain Rahman Al-Sayed Haddad Farouk
Patel Singh Sharma Gupta Reddy Iyer Chowdhury Perera Chen Wang Zhang Liu Huang Tanaka Suzuki Yamamoto Kim Park Choi
Tran Pham Santoso Reyes Santos Ivanov Petrov Kowalski Nowak Novak Popescu Horvat Hansen Johansson Virtanen Mueller Schmidt
Weber DeVries VanDijk Dubois Lefebvre Moreau Rossi Ferrari Esposito Papadopoulos Yilmaz Demir Cohen Goldberg Levy
O'Brien Murphy MacDonald Kealoha Tamati Begay
"""

_ZH_SURNAMES = """
王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗 梁 宋 郑 谢 韩 唐 冯 于 董 萧 程 曹 袁 邓 许 傅 沈 曾 彭 吕 苏 卢 蒋
蔡 贾 丁 魏 薛 叶 阎 余 潘 杜 戴 夏 钟 汪 田 任 姜 范 方 石 姚 谭 廖 邹 熊 金 陆 郝 孔 白 崔 康 毛 邱 秦 江 史 顾 侯 邵 孟 龙 万
欧阳 司马 上官 诸葛 慕容 令狐
"""

_ZH_GIVEN_FEMALE = """
芳 娜 敏 静 丽 艳 娟 霞 秀英 桂兰 玉梅 淑珍 雪梅 婷婷 丹丹 倩 颖 琳 洁 雅琪 梦瑶 诗涵 欣怡 梓涵 雨桐 思琪 佳怡 晓燕 晓红 海燕
美玲 惠君 雅婷 怡君 淑芬 嘉欣 咏仪 子晴 若曦 语嫣 婉清 紫萱 可馨 一诺 依诺 慧敏 春花 秋菊 冬梅 凤英 金凤 翠花 小芳 文静 素云
"""

_ZH_GIVEN_MALE = """
伟 强 磊 军 勇 杰 涛 超 明 刚 辉 鹏 飞 斌 波 建国 建军 志强 国庆 海涛 晓东 文博 浩然 子轩 宇航 俊杰 泽宇 梓豪 一鸣 天佑 家豪
志明 俊宏 冠宇 承恩 柏翰 嘉诚 德华 振东 少华 思远 博文 明哲 睿 昊天 铁柱 大山 长江 卫东 永强 小龙 立新 国栋 正宇 云飞
"""

_ZH_ELSE_FEMALE = """
小红 小丽 小芳 小美 阿珍 阿娟 阿霞 丽丽 玲玲 娜娜 婷婷 王姐 李姐 张姐 陈姨 刘阿姨 赵大妈 孙奶奶 周女士 吴小姐
阿依古丽 古丽娜尔 热依扎 卓玛 央金 拉姆 其其格 娜仁 依丽努尔 金英爱 玛丽亚 索菲亚 安娜 艾米丽 杰西卡 凯瑟琳 伊丽莎白 法蒂玛
阿伊莎 莱拉 娜塔莎 奥尔加 斯维特兰娜 英格丽 弗朗西斯卡 普里娅 拉克希米 阮氏玲 山本美咲 佐藤千夏 铃木由美 金秀珍 朴智妍 崔敏智
恩戈齐 阿玛拉 卡米拉 瓦伦蒂娜 莫妮卡 Lily Amy Cindy Vivian Coco
"""

_ZH_ELSE_MALE = """
小明 小刚 小强 小军 阿强 阿辉 阿伟 老王 老李 老张 老赵 强哥 军哥 李叔 王叔 张大爷 刘师傅 陈先生 黄先生 郑大哥
买买提 艾力 阿不都拉 库尔班 扎西 次仁 巴特尔 朝鲁 苏和 金哲洙 约翰 大卫 迈克尔 汤姆 杰克 威廉 亚历山大 穆罕默德 艾哈迈德
哈桑 易卜拉欣 伊万 谢尔盖 弗拉基米尔 拉尔斯 乔瓦尼 卡洛斯 何塞 迭戈 拉杰什 阿米尔 阮文雄 山田太郎 高桥健一 渡边翔 金俊浩 朴成民
李在熙 奇内杜 夸梅 塔博 皮埃尔 汉斯 贾马尔 Kevin Jason Tony Eric Leo
"""


def _full(surnames: Sequence[str], given: Sequence[str], times: int) -> list[str]:
    """Full Chinese names: each given name with `times` surnames, all surnames in turn."""
    return [surnames[(i * times + k) % len(surnames)] + name for i, name in enumerate(given) for k in range(times)]


def _part(words: Sequence[str], kept: bool) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for i, word in enumerate(words) if (i % KEPT_EVERY == KEPT_EVERY - 1) == kept))


def _names(kept: bool) -> dict[str, Names]:
    family = _ZH_SURNAMES.split()
    female = _ZH_ELSE_FEMALE.split() + _full(family, _ZH_GIVEN_FEMALE.split(), 3)
    male = _ZH_ELSE_MALE.split() + _full(family[41:] + family[:41], _ZH_GIVEN_MALE.split(), 3)
    return {
        "en": Names(_part(_EN_FEMALE.split(), kept), _part(_EN_MALE.split(), kept)),
        "zh": Names(_part(female, kept), _part(male, kept)),
    }


_OWN = _names(kept=False)
KEPT = _names(kept=True)
"""For the behaviour suite, by language: no augmentation shows them."""
KEPT_SURNAMES = _part(_SURNAMES.split(), kept=True)
"""English surnames for the suite."""
RECOGNISED: dict[str, dict[str, Gender]] = {
    lang: {**dict.fromkeys(names.female, "female"), **dict.fromkeys(names.male, "male")} for lang, names in _OWN.items()
}
"""Names that augmentation finds in a text, and their gender."""

_KEPT = frozenset(KEPT["en"].every + KEPT["zh"].every + KEPT_SURNAMES)
_FAMILY = _ZH_SURNAMES.split()
_GIVEN: dict[Gender, list[str]] = {
    "female": list(dict.fromkeys("".join(_ZH_GIVEN_FEMALE.split()))),
    "male": list(dict.fromkeys("".join(_ZH_GIVEN_MALE.split()))),
}
"""Characters of given names; a name is made of one or two."""

_SHARE_OWN = 0.3
"""How often a drawn name is one written by hand: they are names of whom messages speak; the others are for breadth."""
_SOUNDS = (
    "阿艾安巴贝布比达德迪多尔法菲弗加格哈赫伊吉卡凯克科拉莱雷里利林罗洛马玛梅米莫穆"
    "纳娜内尼努帕佩皮普奇乔琼萨塞莎什斯丝苏塔特托瓦维沃西希夏雅亚叶扎泽兹"
)
"""Characters that write the sounds of foreign names."""


def drawn(lang: str, gender: Gender, rng: Random) -> str:
    """A name for training; never one that is kept for the suite."""
    if rng.random() < _SHARE_OWN:
        return rng.choice(_OWN[lang].of(gender))
    while True:
        name = _chinese(gender, rng) if lang == "zh" else rng.choice(_wide()[gender])
        if name not in _KEPT:
            return name


def any_drawn(lang: str, rng: Random) -> str:
    """A name of either gender."""
    return drawn(lang, rng.choice(("female", "male")), rng)


def surname(rng: Random) -> str:
    """An English surname for training."""
    return rng.choice(_wide()["surname"])


def _chinese(gender: Gender, rng: Random) -> str:
    """Put together: a surname and one or two characters of given names, or the sounds of a foreign name."""
    if rng.random() < 0.2:
        return "".join(rng.sample(_SOUNDS, rng.randint(2, 5)))
    return rng.choice(_FAMILY) + "".join(rng.sample(_GIVEN[gender], rng.choice((1, 2, 2))))


@cache
def _wide() -> dict[str, tuple[str, ...]]:
    """Kind → names of every origin, each once, without those kept for the suite."""
    table: dict[str, dict[str, None]] = {}
    for line in Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            _, kind, names = line.split("\t")
            table.setdefault(kind, {}).update(dict.fromkeys(n for n in names.split(" ") if n not in _KEPT))
    return {kind: tuple(names) for kind, names in table.items()}
