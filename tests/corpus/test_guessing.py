"""Texts of many scripts in the encodings of people's old folders."""

from itertools import islice

import pytest

from hashret.items import Item
from indexer import corpus
from indexer.corpus import Reading, decoding
from indexer.corpus.guessing import Guess, by_majority, guess

# The first article of the Declaration of Human Rights, and everyday lines of our own.
TEXTS = {
    "ru": (('cp1251', 'koi8_r', 'cp866', 'iso8859_5', 'mac_cyrillic'), """
Все люди рождаются свободными и равными в своём достоинстве и правах.
Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.
Корабль вышел из гавани рано утром, и капитан долго смотрел на море.
Купить хлеб, молоко и масло.
Привет, как дела?
Протокол собрания жильцов дома номер 5
корабль капитан море парус буря гавань матрос якорь волна ветер
Рецепт борща: свёкла, капуста, картофель, морковь, лук, чеснок и мясо на кости.
"""),
    "uk": (('cp1251', 'koi8_u'), """
Всі люди народжуються вільними і рівними у своїй гідності та правах.
Вони наділені розумом і совістю і повинні діяти у відношенні один до одного в дусі братерства.
Сьогодні ввечері ми підемо до театру, а потім повечеряємо разом.
Привіт, як справи?
Купити хліб і молоко
"""),
    "bg": (('cp1251',), """
Всички хора се раждат свободни и равни по достойнство и права.
Те са надарени с разум и съвест и следва да се отнасят помежду си в дух на братство.
Днес времето е хубаво и отиваме на разходка в планината.
Здравейте, как сте?
"""),
    "el": (('cp1253', 'iso8859_7'), """
Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.
Είναι προικισμένοι με λογική και συνείδηση, και οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα αδελφοσύνης.
Το πλοίο έφυγε από το λιμάνι νωρίς το πρωί.
Καλημέρα, τι κάνεις;
ψωμί, γάλα και τυρί
"""),
    "he": (('cp1255', 'iso8859_8'), """
כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.
כולם חוננו בתבונה ובמצפון, לפיכך חובה עליהם לנהוג איש ברעהו ברוח של אחווה.
הספינה יצאה מן הנמל מוקדם בבוקר.
שלום, מה שלומך?
לחם, חלב וביצים
"""),
    "ar": (('cp1256', 'iso8859_6'), """
يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.
وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا بروح الإخاء.
غادرت السفينة الميناء في الصباح الباكر.
صباح الخير، كيف حالك؟
خبز وحليب وجبن
"""),
    "tr": (('cp1254', 'iso8859_9'), """
Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.
Akıl ve vicdana sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.
Gemi sabah erkenden limandan ayrıldı ve açık denize yöneldi.
Günaydın, nasılsınız?
Ekmek, süt ve yağ al
"""),
    "pl": (('cp1250', 'iso8859_2'), """
Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.
Są oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa.
Statek wypłynął z portu wcześnie rano, a kapitan długo patrzył na morze.
Dzień dobry, jak się masz?
Kupić chleb, mleko i masło żółte
"""),
    "cs": (('cp1250', 'iso8859_2'), """
Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv.
Jsou nadáni rozumem a svědomím a mají spolu jednat v duchu bratrství.
Příliš žluťoučký kůň úpěl ďábelské ódy.
Dobrý den, jak se máte?
Koupit chléb, mléko a máslo
"""),
    "hu": (('cp1250', 'iso8859_2'), """
Minden emberi lény szabadon születik és egyenlő méltósága és joga van.
Az emberek, ésszel és lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy viseltessenek.
A hajó kora reggel hagyta el a kikötőt.
Jó napot, hogy van?
Árvíztűrő tükörfúrógép
"""),
    "hr": (('cp1250', 'iso8859_2'), """
Sva ljudska bića rađaju se slobodna i jednaka u dostojanstvu i pravima.
Ona su obdarena razumom i sviješću i trebaju jedna prema drugima postupati u duhu bratstva.
Šuma, čaj i žito
"""),
    "lt": (('cp1257', 'iso8859_13'), """
Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis.
Jiems suteiktas protas ir sąžinė ir jie turi elgtis vienas kito atžvilgiu kaip broliai.
"""),
    "lv": (('cp1257', 'iso8859_13'), """
Visi cilvēki piedzimst brīvi un vienlīdzīgi savā pašcieņā un tiesībās.
Viņi ir apveltīti ar saprātu un sirdsapziņu, un viņiem jāizturas citam pret citu brālības garā.
"""),
    "th": (('tis_620',), """
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ
ต่างมีเหตุผลและมโนธรรม และควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ
เรือออกจากท่าแต่เช้าตรู่
สวัสดีครับ สบายดีไหม
ซื้อขนมปังและนม
"""),
    "zh": (('gb18030',), """
人人生而自由，在尊严和权利上一律平等。
他们赋有理性和良心，并应以兄弟关系的精神相对待。
轮船清晨离开了港口，船长久久地望着大海。
你好，最近怎么样？
买面包、牛奶和鸡蛋
轮船船长大海风帆暴风港口水手铁锚波浪海风。
会议记录
"""),
    "zht": (('big5',), """
人人生而自由，在尊嚴和權利上一律平等。
他們賦有理性和良心，並應以兄弟關係的精神互相對待。
輪船清晨離開了港口，船長久久地望著大海。
你好，最近怎麼樣？
買麵包、牛奶和雞蛋
會議記錄
"""),
    "ja": (('cp932', 'euc_jp'), """
すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。
人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。
船は早朝に港を出て、船長は長い間海を見ていた。
こんにちは、お元気ですか。
パンと牛乳と卵を買う
議事録
"""),
    "ko": (('euc_kr', 'cp949'), """
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.
인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.
배는 이른 아침 항구를 떠났다.
안녕하세요, 잘 지내세요?
빵과 우유와 달걀을 사다
회의록
"""),
    "fr": (('cp1252',), """
Tous les êtres humains naissent libres et égaux en dignité et en droits.
Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.
Le bateau a quitté le port tôt le matin, et le capitaine a longtemps regardé la mer.
À bientôt, mon élève préféré
façade, naïve, où
Le café est très cher
"""),
    "de": (('cp1252',), """
Alle Menschen sind frei und gleich an Würde und Rechten geboren.
Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.
Größe, Straße, Übung
Fröhliche Weihnachten und alles Gute für das neue Jahr
Öl und Käse für Müller
"""),
    "es": (('cp1252',), """
Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.
El niño comió piña y después se durmió.
¿Cómo estás, señor Muñoz?
¡Feliz año nuevo!
"""),
    "pt": (('cp1252',), """
Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, devem agir uns para com os outros em espírito de fraternidade.
Não há pão nem maçãs
Você está cansado, irmão?
"""),
    "sv": (('cp1252',), """
Alla människor äro födda fria och lika i värde och rättigheter.
De äro utrustade med förnuft och samvete och böra handla gentemot varandra i en anda av broderskap.
Smörgås på västkusten
"""),
    "da": (('cp1252',), """
Alle mennesker er født frie og lige i værdighed og rettigheder.
Rødgrød med fløde på Ærø
"""),
    "fi": (('cp1252',), """
Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.
Hyvää yötä, äiti
"""),
    "it": (('cp1252',), """
Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti.
Perché non è così? Città e libertà.
"""),
    "en": (('cp1252',), """
The “quoted” words — an author’s café — cost €5.
It’s a dog’s life, isn’t it?
"""),
}  # fmt: skip
CASES = [
    (encoding, text.strip().splitlines())
    for encodings, text in TEXTS.values()
    for encoding in encodings
]


def share_right(texts, encoding):
    """How many of the texts that are not ASCII are read as they were written."""
    pairs = [(text, text.encode(encoding)) for text in texts]
    pairs = [(text, data) for text, data in pairs if not data.isascii()]
    found = [guess(data) for _, data in pairs]
    right = sum(one is not None and one.text == t for one, (t, _) in zip(found, pairs, strict=True))
    return right, len(pairs)


@pytest.mark.parametrize(("encoding", "lines"), CASES)
def test_a_page_is_read_in_its_encoding(encoding, lines):
    page = "\n".join(lines * 3)
    assert guess(page.encode(encoding)).text == page


def test_most_lines_are_read_and_many_short_ones():
    lines = [share_right(lines, encoding) for encoding, lines in CASES]
    right, n = map(sum, zip(*lines, strict=True))
    assert right >= 0.95 * n
    short = [
        share_right([" ".join(line.split()[:2])[:12] for line in lines], encoding)
        for encoding, lines in CASES
    ]
    right, n = map(sum, zip(*short, strict=True))
    assert right >= 0.8 * n


def test_a_short_text_follows_its_folder(tmp_path):
    lines = [*TEXTS["he"][1].strip().splitlines(), "שלום", "לחם", "ים"]
    for i, line in enumerate(lines):
        (tmp_path / f"{i}.txt").write_bytes(line.encode("cp1255"))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_bytes(b"caf\xe9 na\xefve d\xe9j\xe0 vu")
    how = Reading()
    found = list(corpus.read([tmp_path], "text", how))
    assert [x.payload for x in found if isinstance(x, Item)] == [*lines, "café naïve déjà vu"]
    assert {x.metadata["encoding"] for x in islice(found, len(lines))} == {"windows-1255"}
    assert how.guesses == {"windows-1255": len(lines), "latin-1": 1}


def test_what_is_in_no_encoding_is_latin_1_whatever_its_folder_is(monkeypatch):
    monkeypatch.setattr(decoding, "guess", lambda data: None)
    found = decoding.decode_bytes(b"\xff\x81")
    assert (found.text, found.encoding) == ("ÿ\x81", "latin-1")
    others = [Guess("", "cp1255", 10, {"cp1255": 1.0})] * 5
    assert by_majority([*others, found.guess])[-1] == "latin-1"


def test_the_majority_is_one_and_rules_short_and_possible_ones_only():
    def one(encoding, n_high=10, **rivals):
        return Guess("", encoding, n_high, rivals)

    many = [one("a", a=1.0)] * 3
    assert by_majority([*many, one("b", b=1.0, a=0.2)]) == ["a"] * 4
    assert by_majority([*many, one("b", b=1.0, a=0.01)])[-1] == "b"
    assert by_majority([*many, one("b", n_high=1000, b=1.0, a=0.9)])[-1] == "b"
    assert by_majority([*many[:2], one("b", b=1.0, a=0.9)])[-1] == "b"
    assert by_majority([*many, *[one("b", b=1.0, a=0.9)] * 3]) == ["a"] * 3 + ["b"] * 3
    assert by_majority([]) == []
