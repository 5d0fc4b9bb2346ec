"""What a template says of failures: `retry` and `on_error`, in all their spellings."""

from __future__ import annotations

from typing import Any, Literal, cast

from stepflow.dsl.kinds import Kinds
from stepflow.dsl.places import Place
from stepflow.dsl.problems import Problems
from stepflow.dsl.references import Folder
from stepflow.dsl.spellings import ON_ERROR_ACTIONS, ON_ERROR_KEYS, RETRY_KEYS, fold_keys
from stepflow.model.flow import Json, OnError, RetryPolicy

RETRY_KNOWN = frozenset(
    ["strategy", "max_attempts", "max_retries", "base_delay", "factor", "max_delay", "jitter", "on"]
)
STRATEGIES = ("never", "fixed", "exponential", "jittered")
ACTIONS = ("fail", "skip", "continue", "retry")


class Handling:
    def __init__(self, problems: Problems, kinds: Kinds, folder: Folder) -> None:
        self._problems = problems
        self._kinds = kinds
        self._folder = folder

    def read(self, raw: dict[str, Any], place: Place) -> tuple[RetryPolicy | None, OnError | None]:
        """Of a step, or of a flow for the steps that say nothing themselves."""
        retry = self.retry(raw.get("retry"), (*place, "retry"))
        loose = {key: raw[key] for key in ("max_retries", "retry_delay", "retry_backoff") if raw.get(key) is not None}
        if loose:
            if retry is not None:
                self._problems.error(
                    "E104", "'retry' and 'max_retries' say the same", (*place, "retry"), "keep 'retry'"
                )
            retry = self.retry(loose, place)
        written = raw.get("on_error")
        on_error = self.on_error(written, (*place, "on_error"))
        body = written if isinstance(written, dict) else {"action": written}
        if body.get("action") == "retry":
            # It takes the keys of a retry.
            how = {key: value for key, value in body.items() if key != "action"}
            if how and retry is not None:
                self._problems.error(
                    "E104", "'retry' and 'on_error' say the same", (*place, "on_error"), "keep 'retry'"
                )
            retry = self.retry(how, (*place, "on_error")) if how or retry is None else retry
        return retry, on_error

    def retry(self, raw: Json, place: Place) -> RetryPolicy | None:
        if raw is None or raw is False:
            return None
        if raw is True:
            return RetryPolicy()
        if isinstance(raw, str):
            self._problems.renamed(place, (*place, "strategy"))
            raw = {"strategy": raw}
        if not isinstance(raw, dict):
            self._problems.error(
                "E117", "'retry' is a mapping or a strategy", place, "e.g. `retry: {max_attempts: 3, delay: 2s}`"
            )
            return None
        folded = fold_keys(raw, RETRY_KEYS, place, self._problems)
        self._kinds.unknown_keys(folded, RETRY_KNOWN, place)
        strategy = self._kinds.word(folded, "strategy", STRATEGIES, "exponential", place)
        if self._kinds.flag(folded, "jitter", place):
            strategy = "jittered"
        attempts = self._kinds.count(folded, "max_attempts", RetryPolicy.__struct_defaults__[1], place)
        if folded.get("max_retries") is not None:
            if folded.get("max_attempts") is not None:
                self._problems.error("E104", "'max_attempts' and 'max_retries' say the same", place, "keep one")
            attempts = self._kinds.count(folded, "max_retries", 0, place, least=0) + 1
        factor = folded.get("factor")
        if factor is None:
            factor = 2.0
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= 1e6:
            self._problems.error("E117", "'factor' is a number from 1", (*place, "factor"))
            factor = 2.0
        on = folded.get("on")
        codes = [] if on is None else [on] if isinstance(on, str) else on
        if not isinstance(codes, list) or not all(isinstance(code, str) and code for code in codes):
            self._problems.error("E117", "'on' is a list of error codes", (*place, "on"))
            codes = []
        base = self._kinds.duration(folded.get("base_delay"), (*place, "base_delay"))
        longest = self._kinds.duration(folded.get("max_delay"), (*place, "max_delay"), may_be_nothing=False)
        return RetryPolicy(
            strategy=cast(Literal["never", "fixed", "exponential", "jittered"], strategy),
            max_attempts=attempts,
            base_delay_ms=1000 if base is None else base,
            factor=float(factor),
            max_delay_ms=300_000 if longest is None else longest,
            on=tuple(codes),
        )

    def on_error(self, raw: Json, place: Place) -> OnError | None:
        if raw is None:
            return None
        body = {"action": raw} if isinstance(raw, str) else raw
        if not isinstance(body, dict) or not isinstance(body.get("action"), str):
            self._problems.error(
                "E118", "'on_error' is fail, skip, continue or retry, or a mapping with an action", place
            )
            return None
        folded = fold_keys(body, ON_ERROR_KEYS, place, self._problems)
        action = ON_ERROR_ACTIONS.get(folded["action"], folded["action"])
        if action == "retry":
            return OnError()
        self._kinds.unknown_keys(folded, frozenset({"action", "default_output"}), place)
        if action not in ("fail", "skip", "continue"):
            where = place if isinstance(raw, str) else (*place, "action")
            hint = self._problems.suggestion(action, ACTIONS) or "use fail, skip, continue or retry"
            self._problems.error("E118", f"Unknown action '{action}'", where, hint)
            return None
        default = folded.get("default_output")
        if default is not None and action != "continue":
            self._problems.error("E118", "'default_output' goes with `action: continue`", (*place, "default_output"))
        return OnError(action, self._folder.fold(default, (*place, "default_output")))
