"""What a pack's shape cannot tell: names that must exist, rules that must be reachable, words that must be sayable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.policy.conditions import ALWAYS, Condition, Operator, Test
from bot.policy.dates import DateExpression, Each, facts_of
from bot.policy.decision import Outcome, RequestKind
from bot.policy.facts import FACTS
from bot.policy.intents import INTENTS, MUST_BE_ANSWERED
from bot.policy.logic import conjuncts, contradicts_itself, implies, known_facts
from bot.policy.pack import Pack, Question, Rule, Says
from bot.policy.schema import MEMBERS, TELL_TEXTS, WEEKDAYS
from bot.policy.wording import BRAND_PLACEHOLDERS, SHOWABLE, TELL_PLACEHOLDERS, placeholders
from bot.policy.yaml_source import Document, Path

_PLANNED = frozenset({"now", "cancelled_at", "effective_at"})
_OF_A_SUBSCRIPTION = frozenset({"started_at", "period_start", "period_end"})
"""Dates that the store has for everything that can be cancelled."""
_COME_WITH = ((Test("other_plan_active", Operator.IS, False), "account_ends_at"),)
"""Dates that are known whenever the test holds."""


def check_meaning(pack: Pack, document: Document) -> None:
    """Add a problem to the document for everything in the pack that could not be kept, said or reached."""
    _Checker(pack, document).run()


class _Checker:
    def __init__(self, pack: Pack, document: Document) -> None:
        self._pack = pack
        self._complain = document.complain
        self._rule_ids = {rule.id for rule in pack.all_rules()}
        self._showable = SHOWABLE | BRAND_PLACEHOLDERS | frozenset(pack.dates)

    def run(self) -> None:
        self._brand()
        self._products()
        self._dates()
        self._rules()
        self._cancel()
        self._pause()
        self._investigation()
        self._calls()
        self._desk()
        self._offered()
        self._answers()
        self._texts()

    def _brand(self) -> None:
        brand, limits = self._pack.brand, self._pack.limits
        try:
            ZoneInfo(brand.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._complain(("brand", "time_zone"), f"there is no time zone {brand.time_zone!r}")
        if limits.second_approver_above_minor < limits.approve_above_minor:
            path = ("limits", "second_approver_above_minor")
            self._complain(path, "must not be below approve_above_minor")

    def _products(self) -> None:
        products = self._pack.products
        ids = [product.id for product in products]
        self._unique(ids, "product", lambda index: ("products", index, "id"))
        for index, product in enumerate(products):
            for place, other in enumerate(product.also_cancels):
                if other not in ids or other == product.id:
                    self._complain(("products", index, "also_cancels", place), f"there is no other product `{other}`")

    def _dates(self) -> None:
        taken = frozenset(FACTS) | BRAND_PLACEHOLDERS | {"amount", "at"}
        for name in self._pack.dates:
            if name in taken:
                self._complain(("dates", name), "is taken: a fact or another placeholder has this name")

    def _rules(self) -> None:
        seen: dict[str, Path] = {}
        for kind in RequestKind:
            rules = self._pack.rules[kind]
            for index, rule in enumerate(rules):
                path: Path = ("rules", kind.value, index)
                self._unique_rule(rule.id, path, seen)
                self._condition(rule.when, path)
                self._pays(kind, index)
                self._needs(rule.needs, (*path, "needs"))
                self._intents(rule.offers, (*path, "offers"))
                allowed = self._showable | ({"amount"} if rule.outcome.pays else set())
                sure = known_facts(rule.when) | BRAND_PLACEHOLDERS | {"amount", "now"}
                self._sentences(rule.says, (*path, "says"), allowed, sure)
                self._sentences(rule.next_steps, (*path, "next_steps"), allowed)
                self._statement(rule, path, allowed, sure)
            self._reachable(
                [rule.when for rule in rules],
                [rule.id for rule in rules],
                ("rules", kind.value),
                gives_way=[rule.law is not None for rule in rules],
            )
            if conjuncts(rules[-1].when):
                message = f"the last rule must have no `when`: something must be decided for every {kind.value} request"
                self._complain(("rules", kind.value, len(rules) - 1, "when"), message)
            if rules[-1].law is not None:
                message = "the last rule must have no `law`: it would not apply before the law's day"
                self._complain(("rules", kind.value, len(rules) - 1, "law"), message)
        for index, effect in enumerate(self._pack.cancel.effects):
            self._unique_rule(effect.id, ("cancel", "effects", index), seen)

    def _statement(self, rule: Rule, path: Path, allowed: frozenset[str], sure: frozenset[str]) -> None:
        if not rule.statement:
            return
        if rule.outcome is not Outcome.HANDOFF:
            message = f"does not fit outcome {rule.outcome.value}: what is declared goes to a person (handoff)"
            self._complain((*path, "statement"), message)
        self._sentences(rule.statement, (*path, "statement"), allowed, sure)

    def _pays(self, kind: RequestKind, index: int) -> None:
        rule = self._pack.rules[kind][index]
        path: Path = ("rules", kind.value, index)
        if rule.outcome.pays and rule.charge is None:
            self._complain((*path, "charge"), f"is missing: outcome {rule.outcome.value} must name a charge")
        if not rule.outcome.pays:
            for key, value in (("charge", rule.charge), ("amount", rule.amount)):
                if value is not None:
                    self._complain((*path, key), f"does not fit outcome {rule.outcome.value}, which pays nothing")

    def _cancel(self) -> None:
        terms = self._pack.cancel
        for index, role in enumerate(terms.who_may.roles):
            if role not in MEMBERS:
                self._complain(("cancel", "who_may", "roles", index), f"there is no role `{role}`")
        self._reference(terms.who_may.rule_id, ("cancel", "who_may", "rule"))
        self._reference(terms.self_service.rule_id, ("cancel", "self_service", "rule"))
        self._sentences(terms.who_may.says, ("cancel", "who_may", "says"), BRAND_PLACEHOLDERS)
        self._sentences(terms.self_service.steps, ("cancel", "self_service", "steps"), BRAND_PLACEHOLDERS)

        for index, term in enumerate(terms.effective):
            path: Path = ("cancel", "effective", index)
            self._reference(term.rule_id, (*path, "rule"))
            self._condition(term.when, path)
            if "effective_at" in facts_of(term.at):
                self._complain((*path, "at"), "`effective_at` cannot rest on itself")
            else:
                self._computable(term.at, term.when, (*path, "at"), planned=_PLANNED - {"effective_at"})
        self._reachable([term.when for term in terms.effective], None, ("cancel", "effective"))
        if conjuncts(terms.effective[-1].when):
            message = "the last date must have no `when`: every cancellation takes effect at some time"
            self._complain(("cancel", "effective", len(terms.effective) - 1, "when"), message)

        for index, undo in enumerate(terms.undo):
            path = ("cancel", "undo", index)
            self._reference(undo.rule_id, (*path, "rule"))
            self._condition(undo.when, path)
            self._computable(undo.at, undo.when, (*path, "at"))
            sure = known_facts(undo.when) | BRAND_PLACEHOLDERS | _PLANNED | {"at"}
            self._sentences(undo.says, (*path, "says"), self._showable | {"at"}, sure)
        self._reachable([undo.when for undo in terms.undo], None, ("cancel", "undo"))

        for index, effect in enumerate(terms.effects):
            path = ("cancel", "effects", index)
            self._condition(effect.when, path)
            if effect.at is not None:
                self._computable(effect.at, effect.when, (*path, "at"), planned=_PLANNED | {"undo_until"})
            dated = frozenset({"at"} if effect.at else ())
            self._intents(effect.offers, (*path, "offers"))
            sure = known_facts(effect.when) | BRAND_PLACEHOLDERS | _PLANNED | dated
            self._sentences(effect.says, (*path, "says"), self._showable | dated, sure)

        for index, event in enumerate(terms.events):
            path = ("cancel", "events", index)
            self._reference(event.rule_id, (*path, "rule"))
            self._condition(event.when, path)
            if not isinstance(event.at, Each):
                self._computable(event.at, event.when, (*path, "at"), planned=_PLANNED | {"undo_until"})
        self._removal()

        self._unique([c.id for c in terms.consents], "consent", lambda i: ("cancel", "consents", i, "id"))
        for index, consent in enumerate(terms.consents):
            path = ("cancel", "consents", index)
            self._condition(consent.when, path)
            self._sentences((consent.wording,), (*path, "wording"), frozenset())
        self._unique([a.id for a in terms.alternatives], "alternative", lambda i: ("cancel", "alternatives", i, "id"))
        for index, offer in enumerate(terms.alternatives):
            path = ("cancel", "alternatives", index)
            self._condition(offer.when, path)
            self._sentences((offer.says,), (*path, "says"), self._showable)
            if offer.intent is None and self._pack.pause is None:
                self._complain((*path, "pause"), "offers a pause, and the pack has no `pause`")
            elif offer.intent is not None and offer.intent not in INTENTS:
                self._complain((*path, "intent"), f"there is no intent `{offer.intent}`")
        self._unique([r.id for r in terms.reasons], "reason", lambda i: ("cancel", "reasons", i, "id"))

    def _pause(self) -> None:
        terms = self._pack.pause
        if terms is None:
            return
        self._reference(terms.rule_id, ("pause", "rule"))
        if not any(rule.outcome is Outcome.ALLOW for rule in self._pack.rules[RequestKind.PAUSE]):
            self._complain(("pause",), "is never allowed: no rule of kind `pause` has the outcome allow")
        resuming = [rule for rule in self._pack.rules[RequestKind.RESUME] if "pause_status" in known_facts(rule.when)]
        if not any(rule.outcome is Outcome.ALLOW for rule in resuming):
            self._complain(
                ("rules", "resume"), "has no rule that ends a pause early: allow it where `pause_status` says so"
            )
        if "pause_starts_at" in facts_of(terms.starts):
            self._complain(("pause", "starts"), "`pause_starts_at` cannot rest on itself")
        self._computable(terms.starts, ALWAYS, ("pause", "starts"), planned=frozenset({"now"}))
        self._unique([each.id for each in terms.lengths], "length", lambda i: ("pause", "lengths", i, "id"))
        planned = frozenset({"pause_starts_at", "pause_resumes_at", "pause_months", "now"})
        self._sentences(terms.says, ("pause", "says"), self._showable, BRAND_PLACEHOLDERS | planned)

    def _computable(
        self, date: DateExpression, when: Condition, path: Path, *, planned: frozenset[str] = _PLANNED
    ) -> None:
        """Complain about a promised date that rests on a fact which may be unknown where the promise is made."""
        allowing = [rule.when for rule in self._pack.rules[RequestKind.CANCEL] if rule.outcome is Outcome.ALLOW]
        always = frozenset.intersection(*map(known_facts, allowing)) if allowing else frozenset()
        sure = planned | _OF_A_SUBSCRIPTION | always | known_facts(when)
        sure |= {fact for test, fact in _COME_WITH if implies(when, test)}
        for name in dict.fromkeys(facts_of(date)):
            if name not in sure:
                message = f"cannot always be computed: `{name}` may be unknown, so `when` must ask that it is not"
                self._complain(path, message)

    def _removal(self) -> None:
        terms, path = self._pack.cancel, ("cancel", "remove_numbers")
        asked = Question.REMOVE_NUMBERS in terms.questions
        if (terms.remove_numbers is not None) is not asked:
            message = "goes with the question `remove_numbers`: a pack has both or neither"
            self._complain(path if asked else ("cancel", "questions"), message)
        if terms.remove_numbers is not None:
            self._reference(terms.remove_numbers.rule_id, (*path, "rule"))
            self._condition(terms.remove_numbers.when, path)
            sure = known_facts(terms.remove_numbers.when) | BRAND_PLACEHOLDERS | {"now"}
            self._sentences(terms.remove_numbers.says, (*path, "says"), self._showable, sure)

    def _investigation(self) -> None:
        terms = self._pack.investigation
        self._reference(terms.rule_id, ("investigation", "rule"))
        self._sentences(terms.says, ("investigation", "says"), BRAND_PLACEHOLDERS)
        ids = [field.evidence for field in terms.fields]
        self._unique(ids, "field", lambda index: ("investigation", "fields", index, "evidence"))
        for index, evidence in enumerate(ids):
            self._needs((evidence,), ("investigation", "fields", index, "evidence"))
        for key, evidence_of in self._pack.evidence.items():
            self._contradiction(evidence_of.have, ("evidence", key, "have"))

    def _calls(self) -> None:
        terms = self._pack.calls
        if terms is None:
            return
        self._reference(terms.rule_id, ("calls", "rule"))
        open_for = (terms.closes.hour - terms.opens.hour) * 60 + terms.closes.minute - terms.opens.minute
        if open_for < terms.minutes:
            self._complain(("calls", "to"), f"leaves no room for a call of {terms.minutes} minutes after `from`")
        if terms.notice_hours >= terms.days_ahead * 24:
            self._complain(("calls", "notice_hours"), "must be less than the hours in `days_ahead`")

    def _offered(self) -> None:
        intents = [each.intent for each in self._pack.suggestions]
        self._unique(intents, "suggestion", lambda index: ("suggestions", index, "intent"))
        for index, intent in enumerate(intents):
            if intent not in INTENTS:
                self._complain(("suggestions", index, "intent"), f"there is no intent `{intent}`")
        matters = [each.matter.value for each in self._pack.refund_matters]
        self._unique(matters, "matter", lambda index: ("refund_matters", index, "matter"))

    def _desk(self) -> None:
        desk = self._pack.desk
        if desk is None:
            return
        self._sentences(desk.away_reply, ("desk", "away_reply"), BRAND_PLACEHOLDERS | {"opens"})
        for day, stretches in desk.hours.items():
            path: Path = ("desk", "hours", WEEKDAYS[day])
            for index, stretch in enumerate(stretches):
                if stretch.closes <= stretch.opens:
                    self._complain((*path, index), "closes before it opens; hours past midnight belong to the next day")
                elif index and stretch.opens < stretches[index - 1].closes:
                    self._complain((*path, index), "begins before the hours ahead of it end")

    def _answers(self) -> None:
        answers = self._pack.answers
        for intent in sorted(MUST_BE_ANSWERED - set(answers)):
            self._complain(("answers", intent), "is missing: every pack answers this question")
        for intent, reply in answers.items():
            path: Path = ("answers", intent)
            if intent not in INTENTS:
                self._complain(path, f"there is no intent `{intent}`")
            for index, rule_id in enumerate(reply.rule_ids):
                self._reference(rule_id, (*path, "rules", index))
            self._intents(reply.offers, (*path, "offers"))
            self._sentences(reply.says, (*path, "says"), BRAND_PLACEHOLDERS)
            for index, variant in enumerate(reply.for_account):
                below = (*path, "for_account", index)
                self._condition(variant.when, below)
                self._sentences(variant.says, (*below, "says"), self._showable)

    def _texts(self) -> None:
        texts = self._pack.texts
        for name, says in texts.items():
            more = TELL_PLACEHOLDERS if name in TELL_TEXTS else frozenset()
            self._sentences(says, ("texts", name), BRAND_PLACEHOLDERS | more)
        telling = [rule.id for rules in self._pack.rules.values() for rule in rules if rule.tell]
        for name in TELL_TEXTS if telling else ():
            if name not in texts:
                self._complain(("texts", name), f"is missing: rule {telling[0]} offers to tell somebody")

    def _unique_rule(self, rule_id: str, path: Path, seen: dict[str, Path]) -> None:
        if rule_id in seen:
            self._complain((*path, "id"), f"rule id {rule_id} is used twice")
        seen.setdefault(rule_id, path)

    def _unique(self, ids: Sequence[str], what: str, path_of: Callable[[int], Path]) -> None:
        for index, name in enumerate(ids):
            if name in ids[:index]:
                self._complain(path_of(index), f"{what} `{name}` is here twice")

    def _condition(self, condition: Condition, path: Path) -> None:
        self._contradiction(condition, (*path, "when"))

    def _contradiction(self, condition: Condition, path: Path) -> None:
        fact = contradicts_itself(condition)
        if fact:
            self._complain(path, f"can never hold: its tests of `{fact}` exclude each other")

    def _reachable(
        self,
        conditions: Sequence[Condition],
        names: Sequence[str] | None,
        path: Path,
        *,
        gives_way: Sequence[bool] = (),
    ) -> None:
        """Complain about an entry that an earlier one always takes first, since the first that holds wins.

        One that `gives_way` does not apply at all times, so it takes nothing for good.
        """
        for later, condition in enumerate(conditions):
            for earlier in range(later):
                if implies(condition, conditions[earlier]) and not (gives_way and gives_way[earlier]):
                    before = names[earlier] if names else f"entry {earlier + 1}"
                    together = implies(conditions[earlier], condition)
                    why = "always holds together with it" if together else "holds whenever it does"
                    self._complain((*path, later), f"can never be reached: {before} before it {why}")
                    break

    def _reference(self, rule_id: str, path: Path) -> None:
        if rule_id not in self._rule_ids:
            self._complain(path, f"there is no rule {rule_id}")

    def _needs(self, needs: Iterable[str], path: Path) -> None:
        for need in needs:
            if need not in self._pack.evidence:
                self._complain(path, f"there is no evidence `{need}`")

    def _intents(self, intents: Sequence[str], path: Path) -> None:
        for index, intent in enumerate(intents):
            if intent not in INTENTS:
                self._complain((*path, index), f"there is no intent `{intent}`")

    def _sentences(self, says: Says, path: Path, allowed: frozenset[str], sure: frozenset[str] | None = None) -> None:
        """Check placeholders; with `sure`, that at least one sentence can be said whatever else is unknown."""
        for index, sentence in enumerate(says):
            here: Path = (*path, index) if len(says) > 1 else path
            for name in placeholders(sentence):
                if name not in allowed:
                    self._complain(here, f"there is no placeholder {{{name}}} here")
            if not sentence.count("{") == sentence.count("}") == len(placeholders(sentence)):
                self._complain(here, "a brace is open or empty: write placeholders as {name}")
        if sure is not None:
            sure |= {name for name, date in self._pack.dates.items() if set(facts_of(date)) <= sure}
        if sure is not None and not any(set(placeholders(sentence)) <= sure for sentence in says):
            self._complain(path, "nothing could be said when facts are unknown: one sentence must do without them")
