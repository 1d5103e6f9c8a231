"""What a run can be, why it may end early, and how one state follows another: one table for every surface.

Terminal, Sheet, HTTP answers, messages and the sidebar all read it, and ``docs/behavior.md`` draws it. Pure; knows no
surface.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Tone = Literal["good", "warn", "bad", "idle", ""]
"""How a state looks where there are colours; an empty text for one that passes."""


class State(enum.StrEnum):
    """What a run is. The values are part of the HTTP contract and of the records in Sheets."""

    RUNNING = "running"
    DONE = "done"
    PARTLY_DONE = "partly done"
    ERROR = "error"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


class Reason(enum.StrEnum):
    """Why a run ended before its end, with windows left to read."""

    CANCELLED = "cancelled"  # somebody asked for it
    OUT_OF_TIME = "out of time"  # max_run_timeout is over
    TO_BE_CONTINUED = "to be continued"  # the time of this part is over, and the next part continues
    INTERRUPTED = "interrupted"  # a signal asked for it: Ctrl-C, or the end of the process
    OUTPUT_CLOSED = "its output was closed"  # whoever read its log has gone


@dataclass(frozen=True, slots=True)
class About:
    """How a state is shown: its name, the word a sentence about it begins with, its tone, exit code and what to do.

    ``final`` says that a run never leaves this state: if its task is delivered again, nothing is read.
    """

    label: str
    headline: str
    tone: Tone
    exit_code: int
    final: bool = False
    what_to_do: str = ""

    @property
    def severity(self) -> Literal["INFO", "WARNING", "ERROR"]:
        """How serious it is in a log."""
        return "ERROR" if self.exit_code == 1 else "WARNING" if self.exit_code else "INFO"


_FIX = "Once that is fixed, run the import again: it continues where it ended."
_GO_ON = "Run the import again: it continues where it ended."

ABOUT: Mapping[State, About] = {
    State.RUNNING: About("Running", "Importing", "", 0),
    State.DONE: About("Done", "Done", "good", 0, final=True),
    State.PARTLY_DONE: About("Partly done", "Partly done", "warn", 3, final=True, what_to_do=_FIX),
    State.ERROR: About("Error", "Error", "bad", 1, what_to_do=_FIX),
    State.CANCELLED: About("Cancelled", "Partly done", "idle", 3, final=True, what_to_do=_GO_ON),
    State.STOPPED: About("Stopped", "Partly done", "warn", 3, what_to_do=_GO_ON),
}
"""Every state, as people see it."""


class Transition(NamedTuple):
    """From one state to the next, and what makes it; None stands for a run that is not there yet."""

    before: State | None
    when: str
    after: State


TRANSITIONS: tuple[Transition, ...] = (
    Transition(None, "it begins", State.RUNNING),
    Transition(State.RUNNING, "everything is stored", State.DONE),
    Transition(State.RUNNING, "some objects or accounts failed", State.PARTLY_DONE),
    Transition(State.RUNNING, "nothing could be read or stored", State.ERROR),
    Transition(State.RUNNING, "somebody cancels it", State.CANCELLED),
    Transition(State.RUNNING, "its time is over, or it is killed", State.STOPPED),
    Transition(State.STOPPED, "its next part begins", State.RUNNING),
    Transition(State.ERROR, "its task is delivered again", State.RUNNING),
)
"""Every way from one state to another."""


def outcome(*, pairs: int, failed: int, reason: Reason | None) -> State:
    """Return the state of a run of ``pairs`` that has ended; ``failed`` of them, or early for a ``reason``."""
    if reason:
        return State.CANCELLED if reason is Reason.CANCELLED else State.STOPPED
    if failed:
        return State.ERROR if failed >= pairs else State.PARTLY_DONE
    return State.DONE


def diagram() -> str:
    """Return the states as a diagram in the language of Mermaid, for the documents."""
    name: dict[State | None, str] = {None: "[*]", **{state: state.name for state in State}}
    lines = ["stateDiagram-v2"]
    lines += [f"    {state.name} : {about.label}" for state, about in ABOUT.items()]
    lines += [f"    {name[t.before]} --> {name[t.after]} : {t.when}" for t in TRANSITIONS]
    lines += [f"    {state.name} --> [*]" for state, about in ABOUT.items() if about.final]
    return "\n".join(lines)
