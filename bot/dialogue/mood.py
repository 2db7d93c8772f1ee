"""How a message is meant: anger, what it says without the anger, and wishes that it says it does not have."""

from __future__ import annotations

import re

_INSULTS = (
    r"(?:you(?: are| re|'re)?|u|ur|these|those|bunch of|such|fuck(?:ing|in)?|damn(?:ed)?|absolute|total|bloody)? ?"
    r"\b(?:scam+ers?|thie(?:ves|f)|crooks?|liars?|idiots?|morons?|jerks?|robbers?|con ?artists?|criminals?|clowns?|"
    r"ass ?holes?|bastards?|rip-?offs?|fraud(?:s|sters)?)\b"
)
_CURSES = (
    r"\b(?:f+u+c+k+\w*|f(?:uc)?king|fkin[g']?|wtf|wth|stfu|sh[i*]t+\w*|bull ?sh[i*]t|b\.?s\.?|crap\w*|damn\w*|"
    r"goddamn\w*|bloody|(?:what|why|who|how) the (?:hell|heck|fuck|f)|hell|for (?:god|fuck|christ|heaven)'?s? ?sake|"
    r"jesus(?: christ)?|omg|ffs|pissed(?: off)?|screw (?:you|this)|arse|ass)\b"
)
_FURY = (
    r"\b(?:furious|livid|outrag(?:ed|eous)|disgust(?:ed|ing)|appall\w+|ridiculous|unacceptable|unbelievable|pathetic|"
    r"garbage|rubbish|trash|useless|joke of a \w+|what a joke|are you (?:kidding|serious|joking)(?: me)?|"
    r"scam+(?:ed|ing)?|"
    r"stole(?:n)?|stealing|robbed|ripped (?:me )?off|rip(?:ping)? (?:me |people |us )?off|(?:so|really|very|beyond) "
    r"(?:angry|mad|upset|frustrat\w+|annoy\w+)|fed up|sick (?:and tired )?of|had (?:it|enough)|"
    r"i(?:['’]?m| am) (?:so )?(?:angry|mad|done|fuming)|"
    r"worst|terrible|horrible|awful|hate (?:you|this|your)|shame on you|how dare|waste of (?:time|money)|"
    r"see you in court|lawyer|sue you|never again)\b"
)
_INSULT = re.compile(_INSULTS, re.I)
_CURSE = re.compile(rf"{_CURSES}|\bf\*+\w*", re.I)
_ANGRY = re.compile(
    rf"{_FURY}|{_CURSES}|\bf\*+|\b(?:scam+ers?|thie(?:ves|f)|crooks?|liars?|idiots?|morons?|robbers?|clowns?)\b", re.I
)
_MILD = re.compile(
    r"\b(?:omg|hell|b\.?s\.?|jesus(?: christ)?|damn\w*|lawyer|crap\w*|bloody|worst|terrible|never again)\b", re.I
)
_SHOUTED = re.compile(r"\b[A-Z']{3,}\b")
_WORD = re.compile(r"[A-Za-z']{3,}")
_LEAST_SHOUTED = 4  # words: fewer may be names and abbreviations
_SPACES = re.compile(r"\s+")
_EMPTY = re.compile(r"[^\w]*")

_CANCELLING = re.compile(r"(?:cancel|clos|delet|unsubscri)\w*$", re.I)
_MATTERS = (
    r"(?:cancel\w*|refund\w*|clos(?:e|ing)|delet(?:e|ing)|upgrad\w*|downgrad\w*|unsubscrib\w*|money back|port\w*|"
    r"(?:talk|speak)(?:ing)? (?:to|with) (?:a |an |any |your )?(?:human|person|agent|bot|robot|machine)\w*)"
)
_DENIED = re.compile(
    rf"\b(?:do(?:es)? ?n['o’]?t|dont|not|never|no longer|did ?n['’]?t|didnt|(?:am|'m|’m|im) not|rather not|no need|"
    rf"wo ?n['’]?t|wont)\b(?:\s+(?:want(?:ing)?|need|wish|ask(?:ing)?|look(?:ing)?|try(?:ing)?|plan(?:ning)?|going|"
    rf"mean|here|think(?:ing)?|say(?:ing)?|said|you|me|to|for|about|of|be|get|do|that|i|have|actually|really|even|please|"
    rf"my|the|a|an|any|it|this|at all))*"
    rf"\s+{_MATTERS}\b",
    re.I,
)
_DID_NOT_HAPPEN = re.compile(
    r"\b(?:did ?n['’]?t|didnt|has ?n['’]?t|hasnt|have ?n['’]?t|not been|never)\s+(?:\w+\s+)?"
    r"(?:cancel(?:l?ed)?|refund(?:ed)?|close|delete|gone|go|went|get|got|receive|work)",
    re.I,
)


def is_angry(text: str) -> bool:
    """Whether a message curses, insults, shouts, or says in so many words that its writer is furious."""
    shouted = len(_SHOUTED.findall(text))
    if shouted >= _LEAST_SHOUTED and shouted > len(_WORD.findall(text)) / 2:
        return True
    found = [match[0] for match in _ANGRY.finditer(text)]
    return bool(found) and (len(found) > 1 or not _MILD.fullmatch(found[0]) or "!" in text)


def calmed(text: str) -> str:
    """What an angry message says without curses, insults and shouting; empty if nothing is left."""
    calm = _CURSE.sub(" ", _INSULT.sub(" ", text))
    if len(_SHOUTED.findall(calm)) > len(_WORD.findall(calm)) / 2:
        calm = calm.lower()
    calm = _SPACES.sub(" ", re.sub(r"([!?])[!?]+", r"\1", calm)).strip(" ,;-!")
    return "" if _EMPTY.fullmatch(calm) else calm


def denies(text: str) -> bool:
    """Whether a clause says that something is not wanted: "I don't want to cancel", not "it didn't cancel"."""
    return bool(_DENIED.search(text)) and not _DID_NOT_HAPPEN.search(text)


def denies_cancelling(text: str) -> bool:
    """Whether a message says that cancelling is not wanted."""
    found = _DENIED.search(text)
    return found is not None and bool(_CANCELLING.search(found[0])) and not _DID_NOT_HAPPEN.search(text)
