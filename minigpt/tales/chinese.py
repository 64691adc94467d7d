"""The Chinese edition of the Tales.

The things are of those that are counted with 个, and so are the fruits: a number stands together with its 个, which
keeps 十个 from being the beginning of 十一个.
"""

from functools import cache

from minigpt.tales.world import Edition, Person, Place, Thing, Word


def _word(name: str) -> Word:
    return Word(name, name)


@cache
def _thing(noun: str, colour: str) -> Thing:
    return Thing(noun, colour, colour.capitalize(), f"{colour}的{noun}")


def _place(name: str) -> Place:
    return Place(name, name)


def _person(name: str, she: str, girl: str) -> Person:
    return Person(name, she, she, she, she, girl, f"{name}那里")


GIRLS = "小满 阿月 秀兰 晓雨 婉儿 春燕 青禾 若云 小荷 丽娜 思思 雪梅".split()
BOYS = "阿宝 大山 小虎 志远 建国 阿福 文博 小海 天佑 阿力 长风 一鸣".split()

PHRASES = {
    # How a story begins.
    "hero": (
        "从前有个人叫{person.name:name}，是个{trait:wording}的{person.girl}，{person.she}有一个{colour:thing}的{noun:thing}。",
        "很久以前，山上的小屋里住着{person.name:name}。{person.She}是个{trait:wording}的{person.girl}，"
        "有一个{colour:thing}的{noun:thing}。",
        "在遥远的海边，{person.name:name}和{person.her}的奶奶住在一起。{person.She}是个{trait:wording}的{person.girl}，"
        "{person.she}有一个{colour:thing}的{noun:thing}。",
        "这是{person.name:name}的故事。{person.She}是个{trait:wording}的{person.girl}，"
        "{person.her}的宝贝是一个{colour:thing}的{noun:thing}。",
    ),
    "friend": (
        "{hero.Her}最好的朋友是{person.name:name}，{person.she}有一个{colour:thing}的{noun:thing}。",
        "隔壁住着{person.name:name}，一个{trait:wording}的{person.girl}，{person.she}有一个{colour:thing}的{noun:thing}。",
        "有一天，{person.name:name}来做客，{person.she}带来了一个{colour:thing}的{noun:thing}。",
    ),
    "neighbour": (
        "大家都喜欢当[面包师|木匠|水手|农夫]的{person.name:name}，也喜欢{person.her}那个{colour:thing}的{noun:thing}。",
        "有时候，{person.name:name}会带着{person.her}那个{colour:thing}的{noun:thing}来玩。",
    ),
    "morning": (
        "\n\n一个[晴朗|刮风|下雨|寒冷|宁静]的早晨，朋友们在{place.name:place}见了面。[鸟儿正在歌唱。|别人都还没有醒。|草地上还有露水。|有好多事情要做。]",
    ),
    # How a sentence begins.
    "she": ("{subject.She}",),
    "next": ("接着，{actor.name}", "不久，{actor.name}", "后来，{actor.name}"),
    "evening": ("\n\n傍晚，{actor.name}", "\n\n太阳落山的时候，{actor.name}"),
    "night": (
        "\n\n那天夜里，{hero.name}梦见了[大海|星星|一条龙|一场盛宴]。\n",
        "\n\n月亮升起来的时候，大家都[累了|很开心|睡着了]。\n",
    ),
    # What people do.
    "go": ("走到了{place.name}。", "跑到了{place.name}。", "动身去了{place.name}。"),
    "go together": ("和{other.name}一起去了{place.name}。",),
    "sing": ("唱了一首关于[大海|星星|春天]的歌。", "讲了一个关于[龙|盛宴|小偷]的故事。"),
    "speak": ("对{other.name}说：“[今天天气真好|我好饿啊|我们来跳舞吧|快看天上的云]！”",),
    "discover": ("在[石头下面|草丛里|门背后|路边]捡到了一个{colour:thing}的{noun:thing}。",),
    "give": ("把{mine.phrase}送给了{other.name}。",),
    "hide": ("将{mine.phrase}藏在了{place.name}。", "不小心将{mine.phrase}忘在了{place.name}。"),
    "fetch": ("取回了{lying.phrase}，它一直在{lying_place.name}等着。",),
    "pick": ("摘了{picked.name:plot}{fruit.name}。",),
    "pick more": ("又摘了{picked.name:plot}{fruit.name}，一共有{more.name:counting}了。",),
    "eat": ("吃了{eaten.name:plot}{fruit.name}，还剩{uneaten.name:counting}。",),
    "share": (
        "分了{shared.name:plot}{fruit.name}给{other.name}，自己还剩{unshared.name:counting}，"
        "{other.name}就有{others_count.name:counting}了。",
    ),
    "ask": ("“{thing.phrase}现在在哪里？”大家问。在{owner.There:answer}。",),
    # Questions.
    "where is": ("\n在哪里能找到{where is.phrase:question}？在{owner.There:answer}。",),
    "who had": ("\n最早是谁有{who had.phrase:question}？{had.name:answer}。",),
    "which colour": ("\n说说看，{which colour.noun:question}是什么颜色的？{which colour.Colour:answer}的。",),
    "where met": ("\n早晨，大家在哪里见面？在{meeting.There:answer}。",),
    "how many": ("\n数一数，{how many.name:question}有几个{fruit.name}？{number.Name:answer}。",),
    # Word games.
    "dictionary": ("一种秘密的语言。",),
    "define": ("\n“{meaning:thing}”叫做“{first:invention}{second:invention}”。",),
    "what is": ("\n什么是“{asked_word:question}”？是“{meaning:word game}”。",),
    "how do you say": ("\n怎么说“{asked_meaning:question}”？说“{word:word game}”。",),
    "sorting": ("一场分类的游戏。",),
    "sort": ("\n把“{item:question}”归到",),
    "known sort": ("“{word:word game}”里。",),
    "new sort": ("“{first:invention}{second:invention}”里。",),
}

CHINESE = Edition(
    people=tuple(_person(name, "她", "姑娘") for name in GIRLS) + tuple(_person(name, "他", "小伙子") for name in BOYS),
    nouns=tuple(
        "风筝 哨子 灯笼 小鼓 皮球 本子 帽子 书包 篮子 戒指 盒子 镜子 木马 海螺 闹钟 杯子 枕头 信封 铃铛 风车 面具"
        " 陀螺 罗盘 勺子".split()
    ),
    colours=tuple("红色 蓝色 绿色 黄色 白色 黑色 紫色 银色 金色 粉色 棕色 灰色".split()),
    places=tuple(map(_place, "磨坊 集市 港口 井边 桥头 灯塔 面包房 城堡 图书馆 喷泉边 河边 学校".split())),
    fruits=tuple(map(_word, "梨子 李子 桃子 核桃 橘子 柿子".split())),
    traits=tuple("勇敢 好奇 开朗 聪明 温和 安静 倔强 快活".split()),
    numbers=tuple(_word(number + "个") for number in "零 一 两 三 四 五 六 七 八 九 十 十一 十二".split()),
    syllables=tuple("咕噜嘟哒叮咚啪嗒喵汪咩哞呱叽喳嗡嘭咔嚓哐"),
    thing=_thing,
    phrases=PHRASES,
)
