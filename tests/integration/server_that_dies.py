"""`supportbot run` for `test_restart.py`, except that the process kills itself (SIGKILL) at a chosen moment of a turn.

Arguments: `before` the action of the turn with that text, or `after` it, when its answer is about to be stored.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from bot.cli import main
from bot.conversation import history
from bot.conversation.engine import EngineTurn, RasaEngine


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _arm(moment: str, fatal: str) -> None:
    answer, keep_answer = RasaEngine.answer, history.keep_answer
    fatal_message: list[str] = []

    async def watched_answer(engine: RasaEngine, turn: EngineTurn, state: Any) -> Any:
        if turn.text == fatal:
            fatal_message.append(turn.message_id)
            if moment == "before":
                _die()
        return await answer(engine, turn, state)

    def watched_keep(uow: Any, **more: Any) -> bool:
        if more["message_id"] in fatal_message:
            _die()
        return keep_answer(uow, **more)

    RasaEngine.answer = watched_answer  # type: ignore[method-assign]
    history.keep_answer = watched_keep


if __name__ == "__main__":
    _arm(*sys.argv[1:])
    sys.argv = ["supportbot", "run"]
    main()
