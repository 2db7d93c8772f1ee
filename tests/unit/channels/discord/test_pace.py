"""No more than Discord allows in any stretch of time, also after the process stood still."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left

from bot.channels.discord.pace import Pace


async def test_a_standstill_is_not_caught_up_with() -> None:
    """What waited meanwhile goes as evenly as ever: a burst, and then one after the other."""
    pace, sent = Pace(per_second=400, burst=8), []

    async def send() -> None:
        await pace.wait()
        sent.append(asyncio.get_running_loop().time())

    sending = [asyncio.create_task(send()) for _ in range(100)]
    await asyncio.sleep(0.03)
    time.sleep(0.2)  # noqa: ASYNC251 - the whole process stands still
    await asyncio.gather(*sending)
    most = max(bisect_left(sent, at + 0.1) - place for place, at in enumerate(sent))
    assert most <= 8 + 0.1 * 400
