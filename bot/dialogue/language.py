"""Which other language than the bot's a message is in, by its script and its small words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

# Small words and what people write to a help center, without accents too. Hindi and Urdu are often written in Latin
# letters.
_TELLING = {
    "es": """
        hola gracias quiero quisiera necesito puedo puede pueden podria podría  mi mis numero número cuenta
        dinero cuando cuándo como cómo qué porque está esta tengo tiene ayuda cancelar reembolso devolver
        devuelvan por favor para una los las del que el recibo recibir mensajes cobraron cobrado veces mes
        suscripcion suscripción ustedes hablar persona buenos buenas dias días tarde tardes desde nada llegan
        llega mensaje sms también tambien pero muy estoy soy ya cobro factura aqui aquí donde dónde quien quién
        hacer ver cambiar renueva tarjeta servicio otra vez sigue siguen lo
        """,
    "pt": """
        quero queria preciso posso pode podem obrigado obrigada não nao meu minha meus minhas conta dinheiro
        quando como porque olá ola bom dia tarde boa você voce vocês voces número numero cancelar reembolso está
        tenho uma para por favor mensagens recebo receber cobraram cobrado fui duas vezes quanto custa um eu
        assinatura falar pessoa com isso são estou mês fatura também tambem muito ajuda onde quem cartão
        """,
    "fr": """
        je veux voudrais mon ma mes les est pas vous bonjour bonsoir merci numéro numero compte comment pourquoi
        annuler remboursement rembourser puis peux pouvez avoir une des du et mais avec pour sur dans cette ce
        s'il plait plaît argent depuis jours mois abonnement résilier resilier reçois recois aucun facture quand
        où parler personne suis j'ai c'est n'est ne que qui deux fois prélevé débité aide aidez nous votre vos
        """,
    "de": """
        ich möchte moechte mein meine meinen meiner nicht bitte danke hallo und der das ist wie warum wann
        kündigen kuendigen geld zurück zurueck nummer konto rechnung keine kein sms habe haben wurde zweimal
        seit wo kann können konnen mit für fur eine einen einem ein auf aber sie wir sprechen mensch guten tag
        hilfe abbuchung abgebucht mir mich noch auch nur schon
        """,
    "it": """
        voglio vorrei mio mia grazie ciao sono perché perche soldi annullare rimborso buongiorno numero conto
        quando come puoi posso potete disdire per favore una non il della messaggi ricevo aiuto persona parlare
        abbonamento fattura anche
        """,
    "hi-latn": """
        mera meri mere mujhe chahiye kaise karo karna karein kar nahi nahin hai hain kyu kyun kyon paisa paise
        wapas vapas bhai kripya aap kab kya raha rahi rahe gaya mein ka ki ko se band ho gya yaar hua aur bhi
        """,
}
_WORDS = {language: frozenset(words.split()) for language, words in _TELLING.items()}
# By themselves no proof: English words, names, what people type by mistake, or words of several languages.
_NO_PROOF = """
mi eu um custa quanto fui como para una los las del el que por puede esta mis sms ver persona favor lo mes ya
otra vez pero muy dia com bom numero conta ola boa je mon ma mes les est pas sur du ce et ne qui des nous deux
dans avec pour avoir suis comment der das ist und mit auf wo ein die tag mir sie seit nur auch konto per il non come
sono ciao conto mio mia ka ki ko se ho mein kar hai kya bhi aur mere bhai kab band hua
"""
_WEAK = frozenset(_NO_PROOF.split())
_SCRIPTS = {
    "CYRILLIC": "ru",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "ARABIC": "ar",
}
_URDU = frozenset("ٹڈڑںےہھگچپکی")  # letters that Arabic does not have
_JAPANESE = ("HIRAGANA", "KATAKANA")
_OUR_SCRIPT = "LATIN"
_LETTERS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_MARKS = re.compile(r"[^\W\d_]")
_NOT_WRITTEN = re.compile(r"(?<!\S)\S*@\S*|https?://\S*|[A-Z]{3}-\d+")
_SHORT = 3  # words
_SHARE = 0.4  # of all words must tell of the language
_SURELY = 3  # telling words
OTHER = "other"


def language_of(text: str, *, surely: bool = False) -> str | None:
    """The language (`es`, `zh`, ..., `other`) of a message that is mostly not in English; None for English or no words.

    In Latin letters two telling words of one language are needed, one of them a proof by itself, and a good part
    of all words; in a message of three words or fewer, one telling word. `surely`: three, whatever the model says.
    """
    text = _NOT_WRITTEN.sub(" ", text)
    letters = _MARKS.findall(text)
    if not letters:
        return None
    scripts = Counter(unicodedata.name(letter, _OUR_SCRIPT).split()[0] for letter in letters)
    if scripts[_OUR_SCRIPT] < len(letters) / 2:
        return _of_script(text, scripts)
    words = [word.lower().replace("’", "'") for word in _LETTERS.findall(text)]
    best, told = max(((name, _tells(words, known)) for name, known in _WORDS.items()), key=lambda pair: pair[1])
    strong = [word for word in words if word in _WORDS[best] and word not in _WEAK]
    needed = _SURELY if surely else 1 if len(words) <= _SHORT else 2
    if not strong or told < needed or told < _SHARE * len(words):
        return None
    return best


def _tells(words: list[str], known: frozenset[str]) -> int:
    return sum(word in known for word in words)


def _of_script(text: str, scripts: Counter[str]) -> str:
    if any(scripts[script] for script in _JAPANESE):
        return "ja"
    found = _SCRIPTS.get(max((count, script) for script, count in scripts.items() if script != _OUR_SCRIPT)[1], OTHER)
    return "ur" if found == "ar" and not _URDU.isdisjoint(text) else found
