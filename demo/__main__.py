"""The hospital in a box: real servers, a real ERP, suppliers with mailboxes, and a story of requisitions played on them.

``fascia demo`` starts this. It stays up until Ctrl-C; with ``--once`` it plays, checks every case outside, writes the report into the
state folder, stops everything and ends with 0, or with 1 and what differs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from demo import report
from demo.report import Screen
from demo.staff import Staff
from demo.stage import Stage, StageError, staged
from demo.story import STORY
from demo.story_play import Play, Played
from demo.story_scene import Scenario
from stack.home import StackError

PARTS = 15  # four of the stack, four programs of the platform, and seven peers
INTERRUPTED = 130
PLAIN_WIDTH = 160


@dataclass(frozen=True)
class Wish:
    """How the demonstration is wanted. ``histories``: a folder for the cases' histories, as replay tests read them."""

    home: Path
    once: bool
    story: Sequence[Scenario]
    erp_away: float
    histories: Path | None = None


async def play(stage: Stage, screen: Screen, wish: Wish) -> list[Played]:
    """Play the story with a bar."""
    by_id = {scenario.id: scenario for scenario in wish.story}
    screen.open("playing the story", len(wish.story))
    try:
        playing = await Play.on(stage, lambda scene, what: screen.scene(by_id[scene], what), wish.erp_away)
        playing.histories = wish.histories
        return await playing.of(wish.story)
    finally:
        screen.close()


async def stay(stage: Stage, screen: Screen) -> None:
    """Keep everything up, with the hospital's staff at work, until ``fascia down`` asks us to stop (or a signal does)."""
    playing = await Play.on(stage, lambda _, what: screen.line(what))
    working = asyncio.create_task(Staff(stage, playing.doors, screen.line).work())
    try:
        stopping = asyncio.create_task(stage.stack.stop_asked.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()  # the staff never ends of itself: what broke it is told
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def demonstrate(screen: Screen, wish: Wish) -> int:
    """Everything: stage, story, report; and wait for the visitor to leave."""
    screen.open("bringing the hospital up", PARTS)
    async with staged(wish.home, screen.doing, news=screen.news) as stage:
        screen.close()
        screen.console.print(report.addresses(stage.addresses()))
        played = await play(stage, screen, wish)
        path = report.write(stage.home, played)
        screen.console.print(report.cases(played))
        wrong = [one.scenario.id for one in played if not one.as_told]
        verdict = f"these ended otherwise: {', '.join(wrong)}" if wrong else "every case ended as told"
        screen.line(f"{len(played)} cases; {verdict} ({path})")
        if not wish.once:
            screen.line("all of it stays up until Ctrl-C; what is ordered now is delivered and paid")
            await stay(stage, screen)
            return 0
        screen.open("stopping", 1)
    screen.close()
    return 1 if wrong else 0


async def until_stopped(screen: Screen, wish: Wish) -> int:
    """Run it; SIGINT, SIGTERM and SIGHUP end it in order, wherever it is."""
    running = asyncio.create_task(demonstrate(screen, wish))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        screen.close()
        screen.line("stopped")
        return INTERRUPTED if wish.once else 0
    except (StackError, StageError) as error:
        screen.close()
        screen.line(str(error))
        return 1


def chosen(names: str) -> Sequence[Scenario]:
    """The scenes of these ids, or all."""
    if not names:
        return STORY
    wanted = names.split(",")
    unknown = set(wanted) - {scenario.id for scenario in STORY}
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no scene {', '.join(sorted(unknown))}; there are {', '.join(s.id for s in STORY)}"
        )
    return [scenario for scenario in STORY if scenario.id in wanted]


def main(arguments: list[str] | None = None) -> int:
    """The command line of the demonstration."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="play, check, report, stop")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("FASCIA_HOME") or ".fascia"))
    parser.add_argument("--scenes", type=chosen, default=STORY, help="only these, by id, with commas")
    parser.add_argument("--erp-away", type=float, default=60.0, help="seconds the ERP is stopped in its scene")
    parser.add_argument("--histories", type=Path, help="a folder to write the cases' histories into")
    given = parser.parse_args(arguments)
    wish = Wish(given.home, given.once, given.scenes, given.erp_away, given.histories)
    console = Console()
    screen = Screen(console if console.is_terminal else Console(width=PLAIN_WIDTH))
    return asyncio.run(until_stopped(screen, wish))


if __name__ == "__main__":
    code = 1
    with contextlib.suppress(KeyboardInterrupt):
        code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Temporal's SDK threads sometimes crash the interpreter while it shuts down; all is done
