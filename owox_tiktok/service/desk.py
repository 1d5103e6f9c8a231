"""A request whose sender is known: what it asks, whether that may be, and what does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.service import logs, messages
from owox_tiktok.service.actions import Actions
from owox_tiktok.service.asked import SWEEP, Asked, read
from owox_tiktok.service.deployment import Deployment
from owox_tiktok.service.identity import Caller
from owox_tiktok.service.messages import Answer
from owox_tiktok.service.registry import Entry, Registry, forbidden, operators_only
from owox_tiktok.service.stopping import Stopping
from owox_tiktok.service.tasks import signed


class Desk:
    """Where the requests of one deployment are served."""

    def __init__(
        self,
        deployment: Deployment,
        environment: Mapping[str, str],
        stopping: Stopping,
        now: Callable[[], datetime],
    ) -> None:
        self._deployment = deployment
        logs.hide([deployment.task_key])
        self._registry = Registry(deployment, environment)
        self._actions = Actions(deployment, environment, self._registry, stopping, now)

    def answer(self, body: bytes, caller: Caller, log: logs.Log, task: str, shown: str = "") -> Answer:
        """Answer what ``caller`` asks; ``task`` is the name of the task that asks, if one does.

        ``shown`` is the signature that it came with.
        """
        if self._deployment.role == "worker" and caller.email != self._deployment.account:
            raise forbidden(caller)  # a person asks the service for Sheets, which has the same work done by a task
        asked, spreadsheet_id, mistakes = read(body)
        if asked and asked.action == SWEEP:
            return self._sweep(caller, log)
        # Whoever may not see this spreadsheet learns nothing about the rest of the request either.
        entry = self._entry(spreadsheet_id, caller, log) if spreadsheet_id else None
        if asked is None or entry is None:
            raise BadInput(mistakes)
        self._check_role(asked, entry, caller)
        key = self._deployment.task_key
        if asked.run_id and asked.action in ("import", "backfill") and key and not signed(key, body, shown):
            log.critical("a task without our signature was refused: somebody has the identity of the queue")
            raise forbidden(caller)
        log = log.about(caller=caller.email, action=asked.action, spreadsheet_id=asked.spreadsheet_id)
        return self._actions.answer(asked, entry, caller, log, task)

    def fleet(self, caller: Caller, log: logs.Log, *, as_json: bool) -> Answer:
        """Show all Sheets to an operator; a Refusal of 403 for anybody else."""
        if self._deployment.role == "worker" or not caller.is_among(self._deployment.operators):
            raise operators_only(caller)
        log.about(caller=caller.email).info("the page of all Sheets was shown")
        return self._actions.fleet(as_json=as_json)

    def _sweep(self, caller: Caller, log: logs.Log) -> Answer:
        """Look after all Sheets, for the schedule."""
        if self._deployment.role == "sheets" or caller.email != self._deployment.account:
            raise forbidden(caller)
        return self._actions.sweep(log.about(caller=caller.email, action=SWEEP))

    def _entry(self, spreadsheet_id: str, caller: Caller, log: logs.Log) -> Entry:
        try:
            return self._registry.entry(spreadsheet_id, caller)
        except BadInput as problem:
            log.critical("%s", problem.sentence)
            raise messages.not_set_up() from None

    def _check_role(self, asked: Asked, entry: Entry, caller: Caller) -> None:
        """Refuse what this deployment is not for. Only our own tasks run an import that has a run id already."""
        starts = asked.action in ("import", "backfill")
        if not starts and not entry.admits(caller):
            raise forbidden(caller)  # the account of tasks and schedules imports, and nothing else
        if self._deployment.role == "worker" and not starts:
            raise BadInput(
                [Mistake("action", f"{asked.action} is not for the worker", "Send it to the service that Sheets call.")]
            )
        ours = self._deployment.role != "sheets" and caller.email == self._deployment.account
        said = [name for name in ("run_id", "done", "part") if getattr(asked, name)]
        if (starts or asked.done or asked.part) and said and not ours:
            raise BadInput([Mistake(name, "is given by the service itself", "Omit it.") for name in said])
