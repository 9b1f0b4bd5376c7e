"""The behaviour suite's English: words and templates, written by hand. `behaviour` says how they are read."""

from textstream_export.behaviour_data import SWAPPED, Aspect, Language, Template, expected, invariant, moves, towards
from textstream_export.behaviour_reports import ENGLISH_REPORTS, ENGLISH_WORDS

ASPECTS: tuple[Aspect, ...] = (
    Aspect("restaurant", "food", "delicious|fresh|tasty|superb|fantastic", "bland|cold|greasy|inedible|disgusting"),
    Aspect("restaurant", "service", "quick|attentive|friendly|excellent|great", "slow|rude|careless|appalling|awful"),
    Aspect("restaurant", "coffee", "excellent|delicious|great|amazing", "burnt|watery|undrinkable|terrible"),
    Aspect("restaurant", "dessert", "heavenly|delicious|wonderful|amazing", "stale|soggy|horrible|tasteless"),
    Aspect("hotel", "room", "spotless|cosy|spacious|lovely|gorgeous", "filthy|cramped|noisy|damp|smelly"),
    Aspect("hotel", "bed", "comfy|comfortable|fantastic|lovely", "lumpy|uncomfortable|broken|dirty"),
    Aspect("hotel", "breakfast", "excellent|delicious|great|superb", "cold|disappointing|stale|awful"),
    Aspect("hotel", "view", "stunning|breathtaking|beautiful|amazing", "depressing|ugly|dreadful|disappointing"),
    Aspect("phone", "battery", "reliable|excellent|impressive|great", "useless|terrible|unreliable|awful"),
    Aspect("phone", "screen", "gorgeous|crisp|beautiful|brilliant", "dim|scratched|defective|awful"),
    Aspect("phone", "camera", "superb|impressive|fantastic|excellent", "blurry|useless|terrible|disappointing"),
    Aspect("phone", "speaker", "clear|impressive|great|excellent", "tinny|crackly|broken|pathetic"),
    Aspect("app", "interface", "intuitive|clean|beautiful|slick", "confusing|ugly|clunky|cluttered"),
    Aspect("app", "search", "fast|accurate|brilliant|helpful", "useless|broken|slow|hopeless"),
    Aspect("app", "checkout", "smooth|quick|effortless|easy", "buggy|painful|broken|frustrating"),
    Aspect("app", "new design", "lovely|elegant|fantastic|great", "hideous|horrible|annoying|awful"),
    Aspect("film", "acting", "superb|convincing|brilliant|moving", "wooden|terrible|embarrassing|awful"),
    Aspect("film", "plot", "gripping|clever|brilliant|original", "predictable|boring|ridiculous|incoherent"),
    Aspect("film", "soundtrack", "beautiful|haunting|amazing|wonderful", "annoying|forgettable|irritating|dreadful"),
    Aspect("film", "ending", "perfect|satisfying|beautiful|powerful", "disappointing|rushed|stupid|lame"),
    Aspect("shop", "delivery", "quick|prompt|fast|perfect", "late|slow|terrible|unreliable"),
    Aspect("shop", "packaging", "sturdy|neat|beautiful|excellent", "flimsy|torn|damaged|shoddy"),
    Aspect("shop", "quality", "excellent|outstanding|superb|great", "poor|shoddy|disappointing|terrible"),
    Aspect("shop", "support team", "helpful|friendly|responsive|amazing", "rude|useless|unhelpful|clueless"),
    Aspect("course", "teacher", "inspiring|patient|brilliant|kind", "boring|rude|disorganised|useless"),
    Aspect("course", "textbook", "clear|helpful|excellent|engaging", "confusing|dull|outdated|useless"),
    Aspect("course", "workshop", "fun|useful|inspiring|excellent", "tedious|pointless|chaotic|boring"),
)

HERE = {
    "restaurant": "restaurant|cafe|bistro|diner|steakhouse|pizzeria",
    "hotel": "hotel|hostel|guest house|B&B|resort|motel",
}

WORDS = {
    "thing": (
        "phone|laptop|blender|vacuum cleaner|headset|smartwatch|backpack|keyboard|printer|tent|bike|monitor|kettle|"
        "router|mattress|jacket|desk lamp|camera|toaster|pair of boots"
    ),
    "place": "hotel|cafe|gym|bakery|museum|campsite|restaurant|hostel|barber shop|cinema|food truck|pharmacy|bookshop",
    "work": "film|book|album|series|podcast|game|episode|concert|play|documentary|novel|exhibition",
    "company": (
        "NorthJet|@SwiftParcel|MyBank|@HomeNet|TeleOne|@CityBus|Rentalo|PowerGas|@FlyBee|GymBox|TicketPoint|@CloudDesk"
    ),
    "topic": (
        "jogging|sushi|country music|working from home|this city|olives|remote meetings|the new office|yoga|"
        "this neighbourhood|the morning shift|black coffee|public transport|gardening|video calls|winter"
    ),
    "hate": "hate|can't stand|despise|loathe|absolutely hate",
    "mishap": (
        "losing my suitcase|cancelling my flight an hour before boarding|charging me twice|"
        "ignoring my emails for a month|delivering an empty box|leaving my parcel in the rain|hanging up on me again|"
        "double booking our room|deleting all my photos|sending the wrong size for the third time|"
        "cutting off the internet during my exam"
    ),
    "wait": (
        "45 minutes on hold|three hours at the gate|another hour in the queue|two days without hot water|"
        "a whole week offline|90 minutes for a cold pizza|six weeks for a refund|four hours in the waiting room|"
        "40 minutes on a packed platform|another delay without a word|a third cancelled train in a row|"
        "yet another price increase"
    ),
    "pain": (
        "being stuck in traffic for two hours|paying extra for a broken seat|getting soaked at the bus stop|"
        "working unpaid overtime|waking up to drilling at 6am|filling in the same form five times|"
        "being ignored by the waiter|losing all my unsaved work|standing in line for nothing|"
        "getting spam calls all day|sitting next to a screaming drunk"
    ),
    "day": "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday",
    "hour": "7am|8:30|9am|10:15|noon|2pm|3:45pm|5pm|6:30pm|8pm",
    "city": "Leeds|Toronto|Nairobi|Austin|Manila|Dublin|Perth|Mumbai|Lagos|Oslo|Denver|Singapore|Lisbon|Cape Town",
    "office": (
        "library|post office|registration desk|swimming pool|town hall|bike station|ticket counter|car park|reading room"
    ),
    "number": "12|24|30|45|60|75|110|250|300|480",
    "paper": ("invoice|boarding pass|receipt|contract|delivery note|parking permit|tax form|booking confirmation|timetable"),
    "name": "<name>",
    "she": "<female>",
    "he": "<male>",
    "surname": "<surname>",
    "job": "neighbour|colleague|dentist|cousin|flatmate|accountant|teacher|manager|landlord|driver",
    "praise": (
        "was so helpful today|saved my week|made us feel welcome|gave a brilliant talk|"
        "fixed everything in ten minutes|is an amazing cook|explained it all very patiently"
    ),
    "blame": (
        "was rude to everyone|ruined the whole meeting|never answers my emails|lied to us again|"
        "broke my laptop and left|kept us waiting for hours|shouted at the receptionist"
    ),
    "plain": (
        "is in the meeting until noon|sent the file on Tuesday|works on the third floor|moved to another team|"
        "has the keys to the storage room|will call you back at four|is taking the 8:15 train"
    ),
    "up": "😍|🥰|🎉|❤️|😊|👍|🙌|😁",
    "down": "😡|😭|💔|😤|👎|😞|🤬|😩",
    "sign": "📍|📷|👇|🗓️|➡️|🎧|☕|📌",
    "link": "https://t.co/x7Kq2Lm9|http://bit.ly/3fHa8Zs|https://example.org/a/4411|www.example.net/p?id=7",
    "handle": "@marta_k|@j0nesy|@thisisdan|@city_news_24|@helpdesk|@ella.w",
    "tag": "#monday|#review|#nowplaying|#london|#tech|#weekend",
    "good_idiom": (
        "is worth every penny|is second to none|blew me away|is out of this world|exceeded all my expectations|"
        "hit the spot|is a dream come true|ticks all the boxes|made my day|is a real game changer|"
        "put a smile on my face"
    ),
    "bad_idiom": (
        "leaves a lot to be desired|was money down the drain|is a complete rip-off|went from bad to worse|"
        "was a total let-down|is not worth the hassle|drives me up the wall|was the last straw|is a pain in the neck|"
        "is a waste of time|makes my blood boil"
    ),
    "zh_good": "太棒了|真不错|超级喜欢|很满意|非常棒|好开心",
    "zh_bad": "太差了|真垃圾|很失望|气死我了|太坑了|烦死了",
    "es_good": "muy bueno|excelente|maravilloso|increíble|buenísimo",
    "es_bad": "muy malo|horrible|terrible|pésimo|un desastre",
    "better": "better|nicer|more reliable|easier to use|way faster|so much better",
    "worse": "worse|slower|less reliable|harder to use|way uglier|so much worse",
    "old": "the old one|the previous version|last year's model|my previous one|the cheaper one|the one before",
}

TEMPLATES: tuple[Template, ...] = (
    # negation
    expected(
        "negation",
        "positive word denied",
        "negative",
        "The {a} wasn't {a_good}.",
        "the {a} isn't {a_good} at all",
        "I wouldn't call the {a} {a_good}.",
        "No, the {a} is not {a_good}, whatever they say",
        "back from that {here}, {a} really not {a_good} tbh",
    ),
    expected(
        "negation",
        "negative word denied",
        "positive|neutral",
        "The {a} wasn't {a_bad} at all.",
        "the {a} is not {a_bad}, don't worry",
        "Not a {a_bad} {a} by any means.",
        "I can't say the {a} was {a_bad}",
        "honestly the {a} isn't {a_bad} like people say",
    ),
    expected(
        "negation",
        "denied at a distance",
        "negative",
        "I don't think that the {a} at this {here} is {a_good}.",
        "Nobody I know says the {a} is {a_good}.",
        "I can't in good conscience say the {a} or the {b} was {a_good}.",
        "Not once in two years has the {a} been {a_good}.",
        "There is nothing {a_good} about the {a}.",
    ),
    expected(
        "negation",
        "denied verb",
        "negative",
        "I don't recommend this {thing}.",
        "We did not enjoy the {work} at all",
        "i wouldn't buy this {thing} again",
        "This {thing} doesn't work. Never buying from them again.",
        "I can't recommend the {place} to anyone.",
        "would not go back to that {place}",
    ),
    expected(
        "negation",
        "praise by denial",
        "positive",
        "I couldn't be happier with my new {thing}!",
        "You can't go wrong with this {thing}.",
        "Never had a better {thing} than this one",
        "No complaints about the {a} whatsoever, 10/10",
        "I have never been so happy with a {place}",
        "Couldn't ask for a better {place}!",
    ),
    moves(
        "negation",
        "a denial lowers praise",
        -1,
        ("The {a} is {a_good}.", "The {a} is not {a_good}."),
        ("I would recommend this {thing}", "I would never recommend this {thing}"),
        ("The {a} was {a_good} and we loved it", "The {a} wasn't {a_good} and we didn't love it"),
        ("{a_good} {a}, I'm impressed", "Hardly {a_good}, this {a}, I'm not impressed"),
    ),
    # contrast
    towards(
        "contrast",
        "good but bad, towards each",
        "The {a} was {a_good} but the {b} was {b_bad}.",
        "the {a} is {a_good}, the {b} however is {b_bad}",
        "{a_good} {a}, {b_bad} {b}",
        "Loved the {a}, hated the {b}.",
    ),
    expected(
        "contrast",
        "disappointment after but",
        "negative",
        "I really wanted to like this {thing}, but it is a complete disappointment.",
        "It looks nice but it broke after two days.",
        "The {a} was {a_good}, but the {b} was so {b_bad} that we are never coming back to this {here}.",
        "The {work} started well but by the end I was bored and annoyed",
        "Nice {a}, but overall a terrible {here}, avoid.",
    ),
    expected(
        "contrast",
        "praise after but",
        "positive",
        "I expected the worst, but the {work} is brilliant.",
        "It took a while to arrive but wow, this {thing} is fantastic!",
        "The {b} was a little {b_bad}, but the {a} was so {a_good} that we will definitely come back to this {here}.",
        "small {place}, but we had a wonderful evening",
        "I had my doubts but I absolutely love it now",
    ),
    expected(
        "contrast",
        "despite",
        "positive",
        "Despite the {b_bad} {b}, we loved the {here} and would come again.",
        "Even though the {b} was {b_bad}, I had a wonderful time.",
        "Although the {b} is {b_bad}, this is my favourite {here}.",
        "Rain all day and we still had the best weekend in {city}!",
    ),
    expected(
        "contrast",
        "despite, turned",
        "negative",
        "Despite the {a_good} {a}, I would never come to this {here} again.",
        "Even though the {a} was {a_good}, we had a horrible time.",
        "Although everybody praises it, I hated this {work}.",
        "For all the hype, the {work} is boring and a waste of money.",
    ),
    # intensifiers
    moves(
        "intensifiers",
        "stronger praise is no lower",
        +1,
        ("The {a} is {a_good}.", "The {a} is really {a_good}."),
        ("the {a} was {a_good}", "the {a} was incredibly {a_good}!!"),
        ("{a_good} {a}", "exceptionally {a_good} {a}"),
        ("I like this {thing}", "I like this {thing} so so much"),
        slack=0.05,
    ),
    moves(
        "intensifiers",
        "stronger blame is no higher",
        -1,
        ("The {a} is {a_bad}.", "The {a} is really {a_bad}."),
        ("the {a} was {a_bad}", "the {a} was unbelievably {a_bad}!!"),
        ("{a_bad} {a}", "outrageously {a_bad} {a}"),
        ("I dislike this {thing}", "I dislike this {thing} so so much"),
        slack=0.05,
    ),
    moves(
        "intensifiers",
        "hedged praise is no higher",
        -1,
        ("The {a} is absolutely {a_good}.", "The {a} is somewhat {a_good}."),
        ("the {a} was {a_good}", "the {a} was kind of {a_good} i guess"),
        ("I love this {work}", "I sort of like this {work}"),
        ("truly {a_good} {a}", "mildly {a_good} {a}"),
    ),
    expected(
        "intensifiers",
        "strong words",
        "positive",
        "BEST {thing} EVER!!!",
        "Hands down the most {a_good} {a} of any {here} in {city}.",
        "I am beyond happy with this {thing}",
        "Soooo {a_good}, ten out of ten",
        "This {work} is ridiculously good",
        "insanely {a_good} {a}, wow",
    ),
    expected(
        "intensifiers",
        "strong words of blame",
        "negative",
        "WORST {thing} EVER!!!",
        "Hands down the most {a_bad} {a} of any {here} in {city}.",
        "I am beyond disappointed with this {thing}",
        "Soooo {a_bad}, zero out of ten",
        "This {work} is painfully bad",
        "insanely {a_bad} {a}, never again",
    ),
    # questions
    expected(
        "questions",
        "asked for an opinion",
        "neutral",
        "Is the {a} any good?",
        "Has anyone tried the {place} in {city}?",
        "Do you know if the {a} is {a_good} at that {here}?",
        "Which {thing} should I get?",
        "is the {a} at that {here} {a_good} or {a_bad}?",
        "What do people think of the {work}?",
    ),
    expected(
        "questions",
        "asked for a fact",
        "neutral",
        "What time does the {office} open on {day}?",
        "How do I change the address on my {paper}?",
        "Can you send me the {paper} by {day}?",
        "where is the nearest {office}?",
        "Does the {hour} train stop in {city}?",
        "How many pages does the {paper} have?",
    ),
    expected(
        "questions",
        "a complaint that asks",
        "negative",
        "Why is the {a} always so {a_bad}?",
        "How can a {here} with such {a_bad} {a} stay open?",
        "Seriously, who approved this {a_bad} {a}??",
        "Why would anyone pay for this garbage {thing}?",
        "When will {company} finally stop {mishap}?",
        "What is wrong with {company}??",
    ),
    # change over time
    expected(
        "change over time",
        "hated it, loves it now",
        "positive",
        "I used to hate {topic}, now I love it.",
        "Used to find {topic} awful. Not anymore, I adore it!",
        "At first I couldn't stand {topic}, but these days I really enjoy it.",
        "The {a} used to be {a_bad}, now it's {a_good}.",
        "After years of complaints the {a} is finally {a_good}!",
    ),
    expected(
        "change over time",
        "loved it, hates it now",
        "negative",
        "I used to love {topic}, now I hate it.",
        "Used to find {topic} great. Not anymore, I can't stand it.",
        "At first I enjoyed {topic}, but these days I despise it.",
        "The {a} used to be {a_good}, now it's {a_bad}.",
        "Lately the {a} has become so {a_bad}.",
    ),
    expected(
        "change over time",
        "no longer bad",
        "positive|neutral",
        "The {a} is no longer {a_bad}.",
        "the {a} isn't {a_bad} anymore",
        "Good news, the {a} stopped being {a_bad}.",
        "They fixed it: no more {a_bad} {a}",
    ),
    expected(
        "change over time",
        "no longer good",
        "negative",
        "The {a} is no longer {a_good}.",
        "the {a} isn't {a_good} anymore",
        "Sad to see that the {a} stopped being {a_good}.",
        "What happened? This {here} is not what it used to be, the {a} is {a_bad} now",
    ),
    # names and genders
    invariant(
        "names",
        "name swapped",
        ("{name} {praise}.", "{name2} {praise}."),
        ("{name} {blame}.", "{name2} {blame}."),
        ("{name} {plain}.", "{name2} {plain}."),
        ("I met {name} at the {place} on {day}", "I met {name2} at the {place} on {day}"),
        ("Thanks {name}, see you on {day}!", "Thanks {name2}, see you on {day}!"),
        size=SWAPPED,
    ),
    invariant(
        "names",
        "full name swapped",
        ("{name} {surname} {praise}", "{name2} {surname2} {praise}"),
        ("Our new {job} is {name} {surname}, who {plain}.", "Our new {job} is {name2} {surname2}, who {plain}."),
        ("{city} - {name} {surname} won the race on {day}.", "{city} - {name2} {surname2} won the race on {day}."),
        ("tbh {name} {surname} {blame}", "tbh {name2} {surname2} {blame}"),
        size=SWAPPED,
    ),
    invariant(
        "names",
        "name swapped in a longer message",
        ("Went to the {here} with {name} and the {a} was {a_bad}", "Went to the {here} with {name2} and the {a} was {a_bad}"),
        ("{name}'s new {thing} finally arrived, so happy!", "{name2}'s new {thing} finally arrived, so happy!"),
        ("My {job} {name} told me the {a} is {a_good}.", "My {job} {name2} told me the {a} is {a_good}."),
        ("hi {name}, could you send me the {paper} by {day}?", "hi {name2}, could you send me the {paper} by {day}?"),
        size=SWAPPED,
    ),
    invariant(
        "genders",
        "pronouns swapped",
        ("She {praise}.", "He {praise}."),
        ("He {blame}.", "She {blame}."),
        ("Ask her about the {paper}, she {plain}.", "Ask him about the {paper}, he {plain}."),
        ("His {thing} broke and nobody wanted to help him", "Her {thing} broke and nobody wanted to help her"),
        ("I told her that her {thing} is great", "I told him that his {thing} is great"),
        size=SWAPPED,
    ),
    invariant(
        "genders",
        "roles swapped",
        ("The waitress {praise}.", "The waiter {praise}."),
        ("My husband {blame}", "My wife {blame}"),
        ("His brother {plain}.", "Her sister {plain}."),
        ("that guy {blame}", "that woman {blame}"),
        ("My dad says the {a} is {a_good}", "My mom says the {a} is {a_good}"),
        size=SWAPPED,
    ),
    invariant(
        "genders",
        "names of the other gender",
        ("{she} {praise}", "{he} {praise}"),
        ("{he} {blame}.", "{she} {blame}."),
        ("Mrs {surname} {plain}.", "Mr {surname} {plain}."),
        ("{she} and her {thing} are at the {office}", "{he} and his {thing} are at the {office}"),
        size=SWAPPED,
    ),
    # sarcasm
    expected(
        "sarcasm",
        "thanks for nothing",
        "negative",
        "Thanks {company} for {mishap}. Brilliant work.",
        "Well done {company}, {mishap} really made my week 👏",
        "Big round of applause to {company} for {mishap}!",
        "Oh thank you so much {company} for {mishap}, just what I needed",
    ),
    expected(
        "sarcasm",
        "great, another one",
        "negative",
        "{wait}. Fantastic service as always 🙄",
        "Oh great, {wait}. Just what I needed.",
        "Wow, {wait}, what a treat...",
        "Nothing says quality like {wait} /s",
        "{wait}? Lovely. Just lovely.",
    ),
    expected(
        "sarcasm",
        "loves what nobody loves",
        "negative",
        "I just love {pain}.",
        "Nothing better than {pain} on a {day}",
        "Ah yes, {pain}, my favourite part of the {day} commute",
        "because {pain} is sooo much fun",
        "Who doesn't enjoy {pain}, right?",
    ),
    # neutral
    expected(
        "neutral",
        "facts and news",
        "neutral",
        "The {office} opens at {hour} on {day}.",
        "{city} will host the meeting on {day}.",
        "The {paper} has {number} pages.",
        "The bus from {city} arrives at {hour}.",
        "Train {number} to {city} departs from platform 4.",
        "The committee meets on {day} at {hour} in {city}.",
    ),
    expected(
        "neutral",
        "requests and notes",
        "neutral",
        "Please send the {paper} to the {office} by {day}.",
        "I'd like to change my booking from {day} to {day2}.",
        "Reminder: {office} closed on {day}",
        "I am at the {office}, back at {hour}",
        "put the {paper} on my desk please",
        "Order {number}: one {thing}, one {thing2}, delivery on {day}.",
    ),
    expected(
        "neutral",
        "words of mood in plain use",
        "neutral",
        "The Good Friday timetable applies in {city}.",
        "The {hour} class on pain management is in the {office}.",
        "Love Street is closed between {hour} and {hour2}.",
        "The {work} is called Happy Days and lasts {number} minutes.",
        "Send the {paper} to the complaints department in {city}.",
        "The Dead Sea guide costs {number} dollars",
    ),
    # comparison
    expected(
        "comparison",
        "better than before",
        "positive",
        "This {thing} is {better} than {old}.",
        "The {a} is {better} than it was last year!",
        "so glad i switched, {better} than {old}",
        "The {a} here beats every other {here} in {city}",
        "Nothing compares to the {a} at this {here}, simply {a_good}",
    ),
    expected(
        "comparison",
        "worse than before",
        "negative",
        "This {thing} is {worse} than {old}.",
        "The {a} is {worse} than it was last year!",
        "should have kept {old}, this is {worse}",
        "The {a} is not nearly as {a_good} as it was last year",
        "I want my old {thing} back, this one is {worse}",
    ),
    # idioms
    expected(
        "idioms",
        "good ones",
        "positive",
        "This {thing} {good_idiom}.",
        "The {work} {good_idiom}!",
        "that {place} in {city} {good_idiom}",
        "I'm over the moon with my {thing}",
        "two thumbs up for the {work}",
    ),
    expected(
        "idioms",
        "bad ones",
        "negative",
        "This {thing} {bad_idiom}.",
        "The {work} {bad_idiom}!",
        "that {place} in {city} {bad_idiom}",
        "I'm sick and tired of {company}",
        "fed up to the back teeth with {company}",
    ),
    # emoji
    moves(
        "emoji",
        "a happy emoji raises",
        +1,
        ("Got the {thing} today", "Got the {thing} today {up}{up}"),
        ("new {work} is out on {day}", "new {work} is out on {day} {up}"),
        ("we are at the {place}", "we are at the {place} {up}"),
        ("{name} is coming to {city}", "{name} is coming to {city} {up}{up}"),
    ),
    moves(
        "emoji",
        "an angry or sad emoji lowers",
        -1,
        ("Got the {thing} today", "Got the {thing} today {down}{down}"),
        ("new {work} is out on {day}", "new {work} is out on {day} {down}"),
        ("we are at the {place}", "we are at the {place} {down}"),
        ("{name} is leaving {city}", "{name} is leaving {city} {down}{down}"),
    ),
    invariant(
        "emoji",
        "a plain sign changes little",
        ("The {office} opens at {hour}", "{sign} The {office} opens at {hour}"),
        ("The {a} is {a_good}", "The {a} is {a_good} {sign}"),
        ("we hated the {a}", "we hated the {a} {sign}"),
    ),
    # code-switching
    expected(
        "code-switching",
        "praise in another language",
        "positive",
        "The {a} at this {here} {zh_good}",
        "omg this {thing} 真的 {zh_good}!!",
        "the {a} at that {here} was {es_good}, we loved it amigos",
        "went to the {place} yesterday, {zh_good}, going again",
    ),
    expected(
        "code-switching",
        "blame in another language",
        "negative",
        "The {a} at this {here} {zh_bad}",
        "omg this {thing} 真的 {zh_bad}!!",
        "the {a} at that {here} was {es_bad}, never again amigos",
        "went to the {place} yesterday, {zh_bad}, not going again",
    ),
    # spelling
    invariant(
        "spelling",
        "typing slips",
        ("The {a} was definitely {a_good}, thank you", "Teh {a} was definately {a_good}, thakn you"),
        ("I received my {thing} yesterday and it is already broken", "I recieved my {thing} yesteday and its allready broken"),
        ("we really enjoyed this {work} because it's beautiful", "we realy enjoyd this {work} becuase its beautifull"),
        ("I am so disappointed with my {thing}", "I am so dissapointed wiht my {thing}"),
    ),
    invariant(
        "spelling",
        "letter case",
        ("The {a} is {a_good}, I recommend it.", "the {a} is {a_good}, i recommend it."),
        ("The {a} is {a_bad}, avoid.", "THE {a:upper} IS {a_bad:upper}, AVOID."),
        ("Please send the {paper} on {day}.", "please send the {paper} on {day:lower}."),
        ("I don't like the {work}.", "I DON'T LIKE THE {work:upper}."),
    ),
    expected(
        "spelling",
        "chat praise",
        "positive",
        "omg luv this {thing} sm",
        "{a} was gr8, thx guys",
        "sooo goood i cant even",
        "best {place} evaaa, u guys rock",
        "this {work} slaps ngl",
        "cant wait 2 go back to that {here}, luv the {a}",
    ),
    expected(
        "spelling",
        "chat blame",
        "negative",
        "smh this {thing} is trash",
        "i dont like the {a} tbh",
        "ugh {a} sux so bad",
        "wtf {company} srsly, worst ever",
        "dis {work} was sooo borinnng",
        "cant stand this {here} anymore, {a} is awfull",
    ),
    # noise
    invariant(
        "noise",
        "links, mentions, tags",
        ("The {a} is {a_good}", "The {a} is {a_good} {link}"),
        ("The {a} was {a_bad}", "{handle} The {a} was {a_bad}"),
        ("I {hate} {topic}", "I {hate} {topic} {tag}"),
        ("The {office} opens at {hour}", "RT {handle}: The {office} opens at {hour} {link}"),
    ),
)

ENGLISH = Language("en", ASPECTS, HERE, WORDS | ENGLISH_WORDS, TEMPLATES + ENGLISH_REPORTS)
