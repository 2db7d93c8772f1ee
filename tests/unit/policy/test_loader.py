"""A pack with a mistake is refused with the file, the line and the key of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bot.policy.errors import PackError
from bot.policy.loader import check_pack, load_pack, load_packs, parse_pack
from bot.policy.pack import Target
from tests.unit.policy.conftest import JOLT_FILE, LUMO_FILE, ROOT

LUMO = LUMO_FILE.read_text(encoding="utf-8")

# What is replaced, by what, and then: the text whose line is named, the key, and part of the message.
MISTAKES = [
    # shape
    ('version: "7"\n', "", "# A made-up brand", "version", "is missing"),
    ('version: "7"', "version: 7", "version: 7", "version", "must be text, not 7"),
    ("name: Lumo Lines", "nam: Lumo Lines", "nam: Lumo", "brand.nam", "is not known here; known: id, name"),
    ("name: Lumo Lines", "nam: Lumo Lines", "brand:", "brand.name", "is missing"),
    ('"#004488"', "blue", "title: Lumo,", "brand.theme.primary", "'blue' does not look like a colour"),
    ("id: L-C2", "id: lc2", "lc2", "rules.resume[0].id", "does not look like a rule id such as J-R1"),
    ("outcome: credit", "outcome: maybe", "outcome: maybe", "rules.refund[2].outcome", "must be one of allow, refuse"),
    ("says: The date is fixed.", "says: []", "L-N1", "rules.change_renewal[0].says", "must not be empty"),
    ("source: refunds#money-back", "source: refunds", "source: refunds\n", "rules.refund[1].source", "article#section"),
    ("      source: refunds#money-back\n", "", "id: L-R2", "rules.refund[1].source", "is missing"),
    ("  pause:\n", "  paus:\n", "rules:", "rules.pause", "is missing"),
    ("questions: [target, consents, effects]", "questions: [wish]", "[wish]", "cancel.questions[0]", "must be one of"),
    ("limits: {approve", "limits: {approved: 1, approve", "approved: 1", "limits.approved", "is not known here"),
    ("  handoff: A person takes over.\n", "", "texts:", "texts.handoff", "is missing"),
    ("      charge: latest\n      says: Within", "      charge: best\n      says: Within", "best",
     "rules.refund[1].charge",
     "must be one of latest, duplicate, wrong, invoice"),
    # YAML
    ("      says: You can withdraw", "      charge: wrong\n      says: You can withdraw", "charge: wrong",
     "rules.refund[0].charge", "this key is here twice"),
    ("texts:\n", "texts: &all\n  all: *all\n", "all: *all", "texts.all", "an alias may not contain itself"),
    # conditions
    ("{verified: true, may_cancel: true}", "{verifed: true}", "verifed", "rules.cancel[1].when.verifed",
     "there is no fact `verifed`"),
    ("interval_months: {at_least: 12}", "interval_months: {atleast: 12}", "atleast",
     "rules.pause[0].when.interval_months.atleast", "there is no operator `atleast`"),
    ("interval_months: {at_least: 12}", "interval_months: {at_least: many}", "many",
     "rules.pause[0].when.interval_months.at_least", "`interval_months` is a whole number, not 'many'"),
    ("interval_months: {at_least: 12}", "interval_months: {}", "interval_months: {}",
     "rules.pause[0].when.interval_months", "must name a value or an operator"),
    ("interval_months: {at_least: 12}", "verified: {at_least: 12}", "verified: {at_least: 12}",
     "rules.pause[0].when.verified.at_least", "`at_least` does not fit `verified`, which is true or false"),
    ("matter: prorated", "matter: halved", "matter: halved",
     "rules.refund[2].when.matter", "is one of duplicate_charge"),
    ("matter: prorated", "matter: {in: prorated}", "{in: prorated}", "rules.refund[2].when.matter.in",
     "`in` needs a list of values"),
    ("matter: prorated", "matter: {unknown: perhaps}", "perhaps", "rules.refund[2].when.matter.unknown",
     "`unknown` is true or false"),
    ("{not: {verified: true}}", "{any: {verified: true}}", "{any: {", "rules.cancel[0].when.any",
     "`any` must be a list of conditions"),
    ("{not: {verified: true}}", "{not: true}", "{not: true}",
     "rules.cancel[0].when.not", "a condition must be a mapping"),
    ("{product: line, numbers", "{product: plane, numbers", "plane", "cancel.effects[0].when.product",
     "the pack has no product `plane`"),
    ("when: {interval_months: {at_least: 12}}", "when: {evidence_given: {has: logs}}", "logs",
     "rules.pause[0].when.evidence_given.has", "the pack has no evidence `logs`"),
    # dates
    ("{from: now, days: 30, at: end_of_day}", "{from: price_minor, days: 30}", "price_minor, days",
     "cancel.effective[1].at.latest_of[0].from", "`price_minor` is not a date fact"),
    ("{from: now, days: 30, at: end_of_day}", "{days: 30}", "{days: 30}", "cancel.effective[1].at.latest_of[0]",
     "`None` is not a date fact"),
    ("{from: now, days: 30, at: end_of_day}", "{from: now, days: soon}", "soon",
     "cancel.effective[1].at.latest_of[0].days", "must be a whole number from -36525 to 36525, not 'soon'"),
    ("{from: now, days: 30, at: end_of_day}", "{from: now, weeks: 4}", "weeks",
     "cancel.effective[1].at.latest_of[0].weeks", "is not part of a date"),
    ("at: end_of_day", "at: noon", "noon",
     "cancel.effective[1].at.latest_of[0].at", "must be start_of_day or end_of_day"),
    ("{latest_of: [{from: now, days: 30, at: end_of_day}, period_end]}", "{latest_of: []}", "latest_of: []",
     "cancel.effective[1].at.latest_of", "must be a list of dates"),
    ("period_end]}", "effective_at]}", "effective_at]}", "cancel.effective[1].at", "cannot rest on itself"),
    ("evidence:\n", "dates: {leaving: {days: 3}}\nevidence:\n", "dates:", "dates.leaving", "`None` is not a date fact"),
    ("evidence:\n", "dates: {one: now, two: one}\nevidence:\n", "dates:", "dates.two.from", "`one` is not a date fact"),
    ("evidence:\n", "dates: {period_end: now}\nevidence:\n", "dates:", "dates.period_end", "is taken"),
    ("evidence:\n", "dates: {Leaving: now}\nevidence:\n", "dates:", "dates", "Leaving"),
    ("erase_data, at: {from: effective_at, years: 1}", "erase_data, at: {each: period_end}", "erase_data",
     "cancel.events[0].at.each", "`period_end` is not a fact that lists moments"),
    ("erase_data, at: {from: effective_at, years: 1}", "erase_data, at: {each: number_fee_dates, days: 1}",
     "erase_data", "cancel.events[0].at.days", "is not part of a repeated date"),
    ("days: 30, at: end_of_day}, period_end]}", "days: 30, at: end_of_day}, registration_ends_at]}",
     "days: 30, at: end", "cancel.effective[1].at", "cannot always be computed: `registration_ends_at` may be unknown"),
    ("kind: erase_data, at: {from: effective_at", "kind: erase_data, at: {from: account_ends_at", "account_ends_at",
     "cancel.events[0].at", "cannot always be computed: `account_ends_at` may be unknown"),
    ("at: {earliest_of: [effective_at,", "at: {earliest_of: [last_sms_at,", "last_sms_at", "cancel.undo[0].at",
     "cannot always be computed: `last_sms_at` may be unknown"),
    # amounts
    ("{of: price_minor}", "{of: price}", "{of: price}", "rules.refund[2].amount.least[1].sum[0].of",
     "`price` is not a fact of kind money_minor"),
    ("over: period_days", "over: 0", "over: 0",
     "rules.refund[2].amount.least[0].over", "must be a whole number from 1"),
    ("times: days_left, over", "time: days_left, over", "time: days_left", "rules.refund[2].amount.least[0].time",
     "is not part of an amount"),
    ("{sum: [{of: price_minor}, {of: 500}]}", "{sum: 5}", "{sum: 5}", "rules.refund[2].amount.least[1].sum",
     "must be a list of amounts"),
    ("{of: 500}", "[500]", "[500]", "rules.refund[2].amount.least[1].sum[1]", "an amount must be the name"),
    # rules
    ("id: L-R9", "id: L-R1", "id: L-R1, title: Nothing", "rules.refund[3].id", "rule id L-R1 is used twice"),
    ("id: L-E1", "id: L-C1", "id: L-C1, title: Numbers", "cancel.effects[0].id", "rule id L-C1 is used twice"),
    ("title: Staying,", "title: Staying, when: {verified: true},", "title: Staying", "rules.resume[0].when",
     "the last rule must have no `when`"),
    ("{matter: prorated, interval_months: 12}", "{matter: change_of_mind, now: {before: {from: started_at, days: 15, "
     "at: start_of_day}}, verified: true}", "id: L-R3", "rules.refund[2]",
     "can never be reached: L-R2 before it"),
    ("when: {interval_months: {at_least: 12}}, ", "", "id: L-P2",
     "rules.pause[1]", "can never be reached: L-P1 before it"),
    ("when: {interval_months: {at_least: 12}}", "when: {all: [{verified: true}, {verified: false}]}",
     "{verified: false}]",
     "rules.pause[0].when", "can never hold: its tests of `verified` exclude each other"),
    ("{matter: prorated, interval_months: 12}", "{now: {before: {from: started_at, days: 15, at: start_of_day}}, "
     "any: [{matter: change_of_mind, role: owner}, {matter: change_of_mind, role: admin}]}", "id: L-R3",
     "rules.refund[2]", "can never be reached: L-R2 before it holds whenever it does"),
    ("when: {interval_months: {at_least: 12}}, outcome: refuse", "outcome: refuse", "id: L-P2", "rules.pause[1]",
     "can never be reached: L-P1 before it always holds together with it"),
    ("title: Staying,", "title: Staying, law: {name: A law, since: 2026-01-01},", "title: Staying",
     "rules.resume[0].law", "the last rule must have no `law`"),
    ("title: Fixed, outcome", "title: Fixed, statement: I agree., outcome", "title: Fixed",
     "rules.change_renewal[0].statement", "does not fit outcome refuse"),
    ("      charge: latest\n      says: Within", "      says: Within", "id: L-R2", "rules.refund[1].charge",
     "is missing: outcome refund must name a charge"),
    ("title: Fixed, outcome", "title: Fixed, charge: latest, outcome", "title: Fixed", "rules.change_renewal[0].charge",
     "does not fit outcome refuse"),
    ("needs: [description]", "needs: [logs]", "[logs]", "rules.investigate[0].needs", "there is no evidence `logs`"),
    ("says: Nothing else is refundable., source", "says: No., offers: [dance], source", "dance",
     "rules.refund[3].offers[0]", "there is no intent `dance`"),
    ("since: 2026-06-19", "since: 2026-06-31", "06-31", "rules.refund[0].law.since", "there is no day 2026-06-31"),
    # words
    ("says: The date is fixed.", 'says: "Fixed till {amount}."', "Fixed till", "rules.change_renewal[0].says",
     "there is no placeholder {amount} here"),
    ("says: The date is fixed.", 'says: "Fixed till {period_end}."', "Fixed till", "rules.change_renewal[0].says",
     "nothing could be said when facts are unknown"),
    ("says: The date is fixed.", 'says: "Fixed till {verified}."', "Fixed till", "rules.change_renewal[0].says",
     "there is no placeholder {verified} here"),
    ("says: The date is fixed.", 'says: "Fixed {."', "Fixed {", "rules.change_renewal[0].says", "a brace is open"),
    ("{says: Please ask us., rules", '{says: "Until {period_end}.", rules', "Until {", "answers.ask_how_to_cancel.says",
     "there is no placeholder {period_end} here"),
    # the rest of the pack
    ("Europe/Berlin", "Europe/Atlantis", "Atlantis", "brand.time_zone", "there is no time zone 'Europe/Atlantis'"),
    ("second_approver_above_minor: 50000", "second_approver_above_minor: 5", "above_minor: 5}",
     "limits.second_approver_above_minor", "must not be below approve_above_minor"),
    ("also_cancels: [fax]", "also_cancels: [telex]", "telex",
     "products[0].also_cancels[0]", "no other product `telex`"),
    ("id: fax, title", "id: line, title", "id: line, title: fax", "products[1].id", "product `line` is here twice"),
    ("roles: [owner]", "roles: [boss]", "boss", "cancel.who_may.roles[0]", "there is no role `boss`"),
    ("at: now, rule: L-C1", "at: now, rule: L-C7", "L-C7", "cancel.effective[0].rule", "there is no rule L-C7"),
    ("    - {at: {latest_of: [{from: now, days: 30, at: end_of_day}, period_end]}, rule: L-C1}\n", "",
     "state: CA}, at: now",
     "cancel.effective[0].when", "the last date must have no `when`"),
    ("says: Talk to us., intent: talk_to_human", "says: Talk to us., intent: talk", "intent: talk}",
     "cancel.alternatives[2].intent", "there is no intent `talk`"),
    ("id: region,", "id: terms,", "id: terms, version: \"1\"",
     "cancel.consents[1].id", "consent `terms` is here twice"),
    ("fields: [{evidence: description", "fields: [{evidence: logs", "logs", "investigation.fields[0].evidence",
     "there is no evidence `logs`"),
    ("questions: [target, consents, effects]", "questions: [target, remove_numbers]", "cancel:\n  who_may",
     "cancel.remove_numbers", "a pack has both or neither"),
    ("  questions: [target, consents, effects]",
     "  remove_numbers: {says: Choose some., rule: L-N2}\n  questions: [target]",
     "  questions:", "cancel.questions", "a pack has both or neither"),
    ("  questions: [target, consents, effects]",
     "  remove_numbers: {says: 'Which of {numbers}?', rule: L-N7}\n  questions: [target, remove_numbers]",
     "  remove_numbers: {says", "cancel.remove_numbers.rule", "there is no rule L-N7"),
    ("  questions: [target, consents, effects]",
     "  remove_numbers: {says: 'Which of {numbers}?', rule: L-N2}\n  questions: [target, remove_numbers]",
     "  remove_numbers: {says", "cancel.remove_numbers.says", "nothing could be said when facts are unknown"),
    ("  ask_10dlc: *same\n", "", "answers:", "answers.ask_10dlc", "is missing: every pack answers this question"),
    ("  ask_10dlc: *same\n", "  ask_10dlc: *same\n  ask_weather: *same\n", "ask_weather", "answers.ask_weather",
     "there is no intent `ask_weather`"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "at", "key", "message"), MISTAKES, ids=[f"{m[3]}-{n}" for n, m in enumerate(MISTAKES)]
)
def test_a_mistake_is_named_with_line_and_key(
    tmp_path: Path, old: str, new: str, at: str, key: str, message: str
) -> None:
    assert LUMO.count(old) >= 1
    text = LUMO.replace(old, new, 1)
    path = tmp_path / "lumo.yml"
    path.write_text(text, encoding="utf-8")

    found = [problem for problem in check_pack(path) if problem.key == key]

    assert found, [str(problem) for problem in check_pack(path)]
    assert message in found[0].message
    assert found[0].line == text[: text.index(at)].count("\n") + 1
    assert found[0].file == str(path)
    assert str(found[0]) == f"{path}:{found[0].line}: {key}: {found[0].message}"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "must be a mapping, not None"),
        ("- a\n- b\n", 1, "must be a mapping, not ['a', 'b']"),
        ("a: b\nc: [d\n", 3, "not valid YAML"),
        ("a: \x07", 1, "not valid YAML"),
        pytest.param("[" * 100_000, 1, "nested too deep", id="deep"),
        ("? [a]\n: b\n", 1, "a key must be a plain name"),
    ],
)
def test_what_is_no_pack_at_all_is_refused(text: str, line: int, message: str) -> None:
    with pytest.raises(PackError) as caught:
        parse_pack(text, "odd.yml")

    assert caught.value.problems[0].line == line
    assert message in str(caught.value)


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = LUMO.replace("Europe/Berlin", "Europe/Atlantis").replace("roles: [owner]", "roles: [boss]")
    with pytest.raises(PackError) as caught:
        parse_pack(text, "lumo.yml")

    assert [problem.key for problem in caught.value.problems] == ["brand.time_zone", "cancel.who_may.roles[0]"]


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")

    assert "cannot be read: No such file" in check_pack(tmp_path / "none.yml")[0].message
    assert "cannot be read: is not UTF-8 text" in check_pack(tmp_path / "binary.yml")[0].message


def test_the_packs_that_are_served_have_no_problems() -> None:
    for path in (ROOT / "data/policies").glob("*.yml"):
        assert check_pack(path) == []


def test_packs_are_loaded_by_brand(tmp_path: Path) -> None:
    shutil.copy(JOLT_FILE, tmp_path / "joltsms.yml")
    shutil.copy(LUMO_FILE, tmp_path / "lumo.yml")

    assert sorted(load_packs(tmp_path)) == ["joltsms", "lumo"]


def test_a_file_is_named_for_its_brand(tmp_path: Path) -> None:
    shutil.copy(LUMO_FILE, tmp_path / "other.yml")
    with pytest.raises(PackError, match=r"brand\.id: the file must be named lumo\.yml"):
        load_packs(tmp_path)


def test_one_bad_pack_is_told_among_good_ones(tmp_path: Path) -> None:
    shutil.copy(JOLT_FILE, tmp_path / "joltsms.yml")
    (tmp_path / "lumo.yml").write_text(LUMO.replace("Europe/Berlin", "Nowhere"), encoding="utf-8")
    with pytest.raises(PackError, match=r"lumo\.yml:8: brand\.time_zone"):
        load_packs(tmp_path)


def test_a_folder_without_packs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="there is no policy pack"):
        load_packs(tmp_path)


def test_norway_is_no_boolean_and_a_day_no_date() -> None:
    """YAML 1.1 would read NO as false and 2026-06-19 as a date."""
    pack = load_pack(LUMO_FILE)
    bare = parse_pack(LUMO.replace('"NO"', "NO"), "lumo.yml")

    assert bare == pack


def test_a_pack_says_what_its_products_are() -> None:
    pack = load_pack(LUMO_FILE)
    line = pack.product("line")

    assert line is not None
    assert (line.target, line.also_cancels) == (Target.PLAN, ("fax",))
    assert pack.product("none") is None
