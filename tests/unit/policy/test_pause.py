"""A pack that pauses: what it plans, and the mistakes that its check names with line and reason."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from bot.policy.decide import plan_pause
from bot.policy.decision import Request, RequestKind
from bot.policy.errors import PackError
from bot.policy.facts import Facts
from bot.policy.loader import parse_pack
from bot.policy.pack import Pack, PauseLength
from tests.fourth_brand import BRANDS

TEXT = (BRANDS / "policies" / "tandem.yml").read_text(encoding="utf-8")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def tandem() -> Pack:
    """The made-up brand, whose day is Berlin's."""
    return parse_pack(TEXT, "tandem.yml")


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ("  starts: period_end\n", "  starts: last_sms_at\n", "pause.starts", "cannot always be computed"),
        ("  starts: period_end\n", "  starts: pause_starts_at\n", "pause.starts", "cannot rest on itself"),
        ("  rule: T-P2\n  starts", "  rule: T-P7\n  starts", "pause.rule", "there is no rule T-P7"),
        ("id: two, title", "id: one, title", "pause.lengths[1].id", "`one` is here twice"),
        ("months: 3}", "months: 0}", "pause.lengths[2].months", "0 is less than the minimum"),
        ("{price_minor} a month", "{priceless} a month", "pause.says[1]", "there is no placeholder {priceless}"),
        (
            "      pause: true\n",
            "      pause: true\n      intent: talk_to_human\n",
            "alternatives[0]",
            "either `intent` or",
        ),
        ("      pause: true\n", "", "alternatives[0]", "either `intent` or"),
        (
            "when: {pause_status: {in: [scheduled, paused]}, subscription_status: active, may_cancel: true}",
            "when: {subscription_status: failed}",
            "rules.resume",
            "no rule that ends a pause early",
        ),
        ("suggestions:\n", "suggestions:\n  - {intent: fly, title: Fly}\n", "suggestions[0].intent", "no intent `fly`"),
        (
            "refund_matters:\n",
            "refund_matters:\n  - {matter: change_of_mind, title: Changed}\n",
            "refund_matters[2].matter",
            "`change_of_mind` is here twice",
        ),
        ("{matter: duplicate_charge,", "{matter: weather,", "refund_matters[0].matter", "must be one of"),
    ],
)
def test_a_mistake_is_named_with_its_key(old: str, new: str, key: str, reason: str) -> None:
    assert old in TEXT
    with pytest.raises(PackError) as refused:
        parse_pack(TEXT.replace(old, new, 1), "tandem.yml")
    told = [str(problem) for problem in refused.value.problems]
    assert any(key in each and reason in each for each in told), told


def test_a_pause_that_no_section_describes_is_refused() -> None:
    start, end = TEXT.index("pause:\n  title"), TEXT.index("cancel:\n  who_may")
    with pytest.raises(PackError, match="the pack has no `pause`"):
        parse_pack(TEXT[:start] + TEXT[end:], "tandem.yml")


@pytest.mark.parametrize(
    ("paid_until", "months", "resumes"),
    [
        # a month-end, kept to the end of the shorter month; a leap day; the night clocks change, at the same local time
        (datetime(2026, 1, 31, 11, tzinfo=timezone.utc), 1, datetime(2026, 2, 28, 11, tzinfo=timezone.utc)),
        (datetime(2028, 1, 31, 11, tzinfo=timezone.utc), 1, datetime(2028, 2, 29, 11, tzinfo=timezone.utc)),
        (datetime(2026, 3, 28, 11, tzinfo=timezone.utc), 1, datetime(2026, 4, 28, 10, tzinfo=timezone.utc)),
    ],
)
def test_months_are_those_of_the_brands_calendar(
    tandem: Pack, paid_until: datetime, months: int, resumes: datetime
) -> None:
    request = Request(RequestKind.PAUSE, paid_until - 5 * DAY)
    facts = Facts({"period_end": paid_until, "price_minor": 900, "currency": "EUR"})
    plan = plan_pause(tandem, facts, request, PauseLength("x", "-", months))
    assert (plan.starts_at, plan.resumes_at) == (paid_until, resumes)
    assert "EUR 9.00" in plan.says[1]


def test_a_period_that_is_over_pauses_from_now_on(tandem: Pack) -> None:
    now = datetime(2026, 7, 6, tzinfo=timezone.utc)
    plan = plan_pause(
        tandem, Facts({"period_end": now - DAY}), Request(RequestKind.PAUSE, now), PauseLength("x", "-", 1)
    )
    assert plan.starts_at == now
