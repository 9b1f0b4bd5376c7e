"""The behaviour suite's messages that report, in both languages: written by hand, by somebody who had not seen `grammar`."""

from textstream_export.behaviour_data import Template, expected

ENGLISH_WORDS = {
    "firm": (
        "Halvorsen Group|Nordlake|Brenner Dairy|Quantix|Sable Mining|Portway Freight|Ilmari Oyj|Castor Pharma|$NRDL|$QTXA|"
        "Bellweather Bank|Tarn Steel"
    ),
    "metric_good": (
        "net profit|operating profit|pre-tax profit|revenue|turnover|order intake|operating cash flow|export revenue|"
        "comparable EBITDA"
    ),
    "metric_bad": (
        "debt burden|late-delivery rate|customer churn|complaint rate|accident rate|warranty bill|defect rate|"
        "interest bill|scrap rate|overdue debt"
    ),
    "loss": "net loss|operating loss|pre-tax loss|quarterly loss|loss before tax",
    "boon": (
        "retail sales|hotel bookings|job openings|tourist arrivals|average wages|museum visits|organ donations|house sales"
    ),
    "incident": (
        "power cuts|burglaries|road deaths|train cancellations|food poisoning cases|cyber attacks|workplace accidents|"
        "flight delays|bankruptcies"
    ),
    "trouble": (
        "missed deadlines|product recalls|customer complaints|overdue invoices|injuries at work|data breaches|system failures|"
        "warranty claims|cancelled orders"
    ),
    "rose": "rose|climbed|grew|increased|jumped|went up",
    "fell": "fell|dropped|declined|decreased|slid|went down",
    "percent": "7%|9 per cent|12%|15 percent|18.4%|23 %|31%|44%",
    "low": "2.1|3.4|4.8|5.5|6.3|7.9",
    "high": "11.2|14.7|18.9|21.6|26|33.5",
    "period": (
        "in the first half|in the second quarter|in the third quarter|in the year to March|in 2023|last quarter|"
        "in the nine months to September|over the year"
    ),
    "post": "chief financial officer|head of research|company secretary|head of treasury|plant manager|data protection officer",
    "seller": "the shop|the online store|the department store|the outlet|the mail-order firm|the store in town",
    "ago": "three weeks ago|a month ago|19 days ago|six weeks ago|back in March|forty days ago",
    "damage": (
        "two weeks late|already used by somebody|in the wrong colour|soaked through|in an open box|damaged in the post|"
        "covered in stains"
    ),
    "provider": (
        "the airline|the gym|the bank|the hotel|the phone company|the energy supplier|the insurance office|"
        "the dentist's practice|my landlord's agency"
    ),
    "flop": (
        "charged my card twice|hung up on me three times|left four of my emails unanswered|kept me on hold for an hour|"
        "lost my file and asked me to start again|sent my bill to a stranger|raised the price without a letter|"
        "has owed me a refund since March"
    ),
    "deed": (
        "refunded me the same day|answered within two minutes|dropped the fee without being asked|"
        "corrected the mistake before I noticed|settled it all in one phone call|"
        "had a real person on the line at the first ring|paid me back more than I had asked for|"
        "called back within the hour with the answer"
    ),
    "counter": "check-in desk|clinic|repair shop|registry office|service desk|emergency department",
    "long": "three hours|90 minutes|two and a half hours|all morning|the whole afternoon|four hours",
    "short": "five minutes|under ten minutes|four minutes|less than a quarter of an hour|8 minutes",
    "ride": "train|coach|flight|night bus",
    "late": "three hours|four hours|five and a half hours|half a day|200 minutes",
    "early": "ten minutes|20 minutes|half an hour|25 minutes|a quarter of an hour",
    "item": "umbrella|wallet|scarf|passport|glasses case|house key|laptop bag|bank card",
    "facility": "lift|lobby|car park|meeting room|archive|kitchen|bike shed",
    "setting": "language|time zone|font size|home screen|default printer|ringtone|currency",
    "menu": "General|Account|Display|Advanced|Profile|Preferences",
}

ENGLISH_REPORTS: tuple[Template, ...] = (
    expected(
        "reports",
        "what is good rises",
        "positive",
        "{firm}'s {metric_good} {rose} by {percent} {period}.",
        "{metric_good} at {firm} {rose} to EUR {high} mn from EUR {low} mn a year earlier.",
        "{firm}: {metric_good} up {percent} {period}",
        "{boon} in {city} {rose} {percent} {period}",
        "{firm} says that its {metric_good} {rose} by {percent} and its {metric_good2} by {percent2}",
        "Demand in Asia lifted the {metric_good} of {firm} to EUR {high} mn, {percent} more than a year ago.",
    ),
    expected(
        "reports",
        "what is good falls",
        "negative",
        "{firm}'s {metric_good} {fell} by {percent} {period}.",
        "{metric_good} at {firm} {fell} to EUR {low} mn from EUR {high} mn a year earlier.",
        "{firm}: {metric_good} down {percent} {period}",
        "{boon} in {city} {fell} {percent} {period}",
        "{firm} says that its {metric_good} {fell} by {percent} and its {metric_good2} by {percent2}",
        "Demand in Asia dried up and cut the {metric_good} of {firm} to EUR {low} mn, {percent} less than a year ago.",
    ),
    expected(
        "reports",
        "what is bad grows",
        "negative",
        "{firm}'s {metric_bad} {rose} by {percent} {period}.",
        "{loss} at {firm} widened to EUR {high} mn from EUR {low} mn a year earlier.",
        "{firm}: {metric_bad} up {percent} {period}",
        "{incident} in {city} {rose} {percent} {period}",
        "{firm} reports more {trouble} and more {trouble2} than a year ago",
        "Twice as many {trouble} at {firm} as a year ago, and the {loss} {rose} to EUR {high} mn.",
    ),
    expected(
        "reports",
        "what is bad shrinks",
        "positive",
        "{firm}'s {metric_bad} {fell} by {percent} {period}.",
        "{loss} at {firm} narrowed to EUR {low} mn from EUR {high} mn a year earlier.",
        "{firm}: {metric_bad} down {percent} {period}",
        "{incident} in {city} {fell} {percent} {period}",
        "{firm} reports fewer {trouble} and fewer {trouble2} than a year ago",
        "Half as many {trouble} at {firm} as a year ago, and the {metric_bad} {fell} by {percent}.",
    ),
    expected(
        "reports",
        "facts of a company",
        "neutral",
        "{firm} is based in {city} and has {number} employees.",
        "{firm} will publish its interim report on {day} at {hour}.",
        "The annual meeting of {firm} takes place in {city} on {day}.",
        "{firm} has appointed {name} {surname} as {post} with effect from {day}.",
        "The lease of {firm} covers {number} square metres of office space in {city}.",
        "{firm} reports on {day}, call at {hour}",
    ),
    expected(
        "reports",
        "service that failed, as a fact",
        "negative",
        "Ordered a {thing} from {seller} {ago}, it still hasn't come.",
        "The {thing} I ordered arrived {damage}.",
        "{provider} {flop}.",
        "Waited {long} at the {counter} and was then sent home.",
        "our {ride} to {city} left {late} late and nobody told us why",
        "My {thing} fell apart after two days, and {seller} will not take it back",
    ),
    expected(
        "reports",
        "service that went well, as a fact",
        "positive",
        "Ordered a {thing} late on {day}, it was on my doorstep the next morning.",
        "My {thing} gave out after a year, and {seller} sent me a new one free of charge",
        "{provider} {deed}.",
        "In and out of the {counter} in {short}, everything done.",
        "our {ride} to {city} got in {early} early and the crew carried our bags",
        "Left my {item} at the {place}, they kept it safe and brought it over the same night.",
    ),
    expected(
        "reports",
        "requests, instructions, notices",
        "neutral",
        "Please fill in form {number} and hand it in at the {office} by {day}.",
        "Notice: the {facility} will be locked at {hour} on {day}.",
        "Could you forward the {paper} to {firm} before {day}?",
        "To change the {setting}, open the settings and choose {menu}.",
        "does {firm} have an office in {city}?",
        "What documents do I bring to the {counter} on {day}?",
    ),
)

CHINESE_WORDS = {
    "firm": "华盛重工|北岸科技|天瑞医药|金禾食品|远帆物流|明川汽车|青石矿业|恒泽能源|$海蓝股份$|东篱软件|$石桥电子$|云岭乳业",
    "metric_good": "净利润|营业收入|营业利润|新签订单|经营现金流|出口额|扣非净利润|主营收入|利润总额",
    "metric_bad": "返修率|逾期债务|报废率|退货率|次品率|坏账|工伤事故|停产天数|质保费用|客户流失率",
    "loss": "净亏损|经营亏损|营业亏损|扣非亏损|税前亏损",
    "boon": "游客人数|零售额|居民人均收入|新增就业人数|优良天气天数|酒店预订量|新注册企业数|平均工资",
    "incident": "入室盗窃案|火灾起数|交通事故死亡人数|企业倒闭数|停电次数|食物中毒病例|电信诈骗案|航班延误|流感病例",
    "trouble": "客户投诉|退货订单|安全事故|逾期账款|召回事件|系统故障|质量纠纷",
    "rose": "增长|上升|攀升|大增|增加",
    "fell": "下降|减少|回落|降低|大降",
    "percent": "7%|9.6%|12%|18.4%|23%|31%|四成|两成多",
    "low": "2.1|3.4|4.8|5.5|6.3|7.9",
    "high": "11.2|14.7|18.9|21.6|26|33.5",
    "period": "上半年|一季度|二季度|三季度|四季度|前九个月|全年|前十个月",
    "statement": "一季报|半年报|三季报|年报|审计报告",
    "post": "财务总监|董事会秘书|独立董事|研发总监|总经理助理|监事",
    "ago": "两个星期|二十天|一个月|十八天|三个星期|四十天",
    "damage": "是别人用过的|颜色发错了|泡过水|上面全是霉点|盒子已经被拆开过|在路上被压坏了",
    "provider": "航空公司|健身房|银行|酒店|电信营业厅|燃气公司|保险公司|牙科诊所|驾校",
    "flop": (
        "重复扣了我两次钱|三次挂断我的电话|一个月没回我的邮件|让我在电话里等了一个小时|把我的资料弄丢了|"
        "把账单寄给了陌生人|没打招呼就涨了价|答应的退款拖到现在没给"
    ),
    "deed": (
        "当天就把钱退给了我|两分钟就接了电话把事办好|主动免了手续费|没等我发现就把错账改过来了|一个电话就全解决了|"
        "电话一响就有真人接|退给我的钱比我要的还多|不到一小时就回电话给了答复"
    ),
    "counter": "值机柜台|门诊窗口|维修点|办证大厅|服务台|取件窗口",
    "long": "三个小时|九十分钟|两个半小时|一上午|整个下午|四个小时",
    "short": "五分钟|不到十分钟|四分钟|一刻钟不到|八分钟",
    "ride": "大巴|航班|班车|夜班车",
    "late": "三个小时|四个小时|五个半小时|大半天|两百分钟",
    "early": "十分钟|二十分钟|半个小时|一刻钟|二十五分钟",
    "item": "雨伞|钱包|围巾|护照|眼镜|钥匙|电脑包|银行卡",
    "soon": "今天早上|今早七点|今天上午|今早八点",
    "facility": "电梯间|一楼大厅|会议室|茶水间|资料室|地下车库|自行车棚",
    "setting": "语言|时区|字号|默认打印机|铃声|货币单位|头像",
    "menu": "通用|账户|显示|高级|个人资料|偏好",
}

CHINESE_REPORTS: tuple[Template, ...] = (
    expected(
        "reports",
        "what is good rises",
        "positive",
        "{firm}{period}{metric_good}同比{rose}{percent}。",
        "{firm}：{period}{metric_good}{high}亿元，上年同期为{low}亿元",
        "{city}{period}{boon}同比{rose}{percent}",
        "{metric_good}从{low}亿元增至{high}亿元，{firm}公布{period}业绩",
        "{firm}公告，{metric_good}、{metric_good2}双双{rose}，其中{metric_good}增幅为{percent}。",
    ),
    expected(
        "reports",
        "what is good falls",
        "negative",
        "{firm}{period}{metric_good}同比{fell}{percent}。",
        "{firm}：{period}{metric_good}{low}亿元，上年同期为{high}亿元",
        "{city}{period}{boon}同比{fell}{percent}",
        "{metric_good}从{high}亿元降至{low}亿元，{firm}公布{period}业绩",
        "{firm}公告，{metric_good}、{metric_good2}双双{fell}，其中{metric_good}降幅为{percent}。",
    ),
    expected(
        "reports",
        "what is bad grows",
        "negative",
        "{firm}{period}{metric_bad}同比{rose}{percent}。",
        "{firm}{period}{loss}从{low}亿元扩大到{high}亿元",
        "{city}{period}{incident}同比{rose}{percent}",
        "{firm}{period}的{trouble}比上年同期多了{percent}",
        "{firm}称，{metric_bad}和{trouble}比上年同期都有所增加。",
    ),
    expected(
        "reports",
        "what is bad shrinks",
        "positive",
        "{firm}{period}{metric_bad}同比{fell}{percent}。",
        "{firm}{period}{loss}从{high}亿元收窄到{low}亿元",
        "{city}{period}{incident}同比{fell}{percent}",
        "{firm}{period}的{trouble}比上年同期少了{percent}",
        "{firm}称，{metric_bad}和{trouble}比上年同期都有所减少。",
    ),
    expected(
        "reports",
        "facts of a company",
        "neutral",
        "{firm}总部位于{city}，员工{number}人。",
        "{firm}将于{day}{hour}发布{statement}",
        "{firm}股东大会{day}在{city}召开。",
        "{firm}聘任{name}为{post}，{day}起任职",
        "{firm}租用{city}一处{number}平方米的办公室，租期三年。",
    ),
    expected(
        "reports",
        "service that failed, as a fact",
        "negative",
        "下单{ago}了，{thing}还没发货",
        "收到的{thing}{damage}。",
        "{provider}{flop}。",
        "在{counter}等了{long}，轮到我时说下班了",
        "去{city}的{ride}晚了{late}才出发，没人说明原因。",
        "{thing}用了两天就坏了，店家不给退",
    ),
    expected(
        "reports",
        "service that went well, as a fact",
        "positive",
        "昨晚下单，{thing}{soon}就送到了",
        "{thing}用了一年坏了，店家免费给换了新的。",
        "{provider}{deed}。",
        "在{counter}{short}就办好了，没排队",
        "去{city}的{ride}提前{early}到了，还有人帮我们提行李。",
        "把{item}落在{place}了，工作人员当晚就给我送了过来",
    ),
    expected(
        "reports",
        "requests, instructions, notices",
        "neutral",
        "请于{day}{hour}前把{paper}交到{office}。",
        "通知：{day}{hour}打扫{facility}",
        "请问{firm}在{city}有办事处吗？",
        "如需更改{setting}，请打开设置，选择{menu}。",
        "请问{day}去{counter}要带什么证件",
        "麻烦{day}前把{paper}转给{firm}",
    ),
)
