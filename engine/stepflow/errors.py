"""Every error StepFlow raises, and what each one tells its reader.

    WorkflowEngineError                 code, message, details
    ├── DSLValidationError              DSL_INVALID: what the author wrote is wrong; carries diagnostics
    ├── InvalidInputError               INVALID_INPUT: the run's input violates the template's schema
    ├── NotFoundError
    │   ├── TemplateNotFoundError       TEMPLATE_NOT_FOUND
    │   ├── RunNotFoundError            RUN_NOT_FOUND
    │   └── ComponentNotFoundError      COMPONENT_NOT_FOUND
    ├── TemplateExistsError             TEMPLATE_EXISTS
    ├── IdempotencyConflictError        IDEMPOTENCY_CONFLICT: same key, other input
    ├── StepError                       STEP_ERROR: a step failed
    │   ├── ComponentError              its own code: a component says how it failed
    │   └── StepTimeoutError            STEP_TIMEOUT
    ├── WorkflowCanceledError           WORKFLOW_CANCELED
    ├── WorkflowTimeoutError            WORKFLOW_TIMEOUT
    ├── ExpressionError                 EXPRESSION_FAILED: a reference or condition has no value
    ├── StorageError                    STORAGE_ERROR: the database cannot do it; says the way out
    │   ├── StorageBusyError            STORAGE_BUSY: somebody else holds the write lock
    │   ├── NewerDatabaseError          NEWER_DATABASE: written by a newer release
    │   ├── DatabaseGoneError           DATABASE_GONE: deleted or replaced while it was open
    │   ├── LeaseLostError              LEASE_LOST: another worker holds the run now
    │   ├── StaleRunError               STALE_RUN: the run changed since it was read
    │   └── EventsPrunedError           EVENTS_PRUNED: a follower asks for events that are gone
    ├── ImportRefusedError              IMPORT_REFUSED: a line of an export that cannot be imported
    └── InvalidTransitionError          INVALID_TRANSITION: a move the table does not allow

The user's mistakes derive from `WorkflowEngineError`; anything else that escapes is a defect of StepFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

DIAGNOSTICS_KEPT = 20
"""In the details of an error, which are stored."""


class WorkflowEngineError(Exception):
    """The root: a stable `code`, a message for people, and `details` (JSON) for programs."""

    code = "WORKFLOW_ENGINE_ERROR"

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: dict[str, Any] = details or {}

    def __str__(self) -> str:
        return self.message

    def to_record(self) -> dict[str, Any]:
        """The error as JSON: code, message, details where there are any."""
        record: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            record["details"] = self.details
        return record

    @staticmethod
    def from_error(error: BaseException, code: str = "WORKFLOW_ENGINE_ERROR") -> WorkflowEngineError:
        """`error` itself if it is ours, else a `WorkflowEngineError` with its message, type and stack."""
        if isinstance(error, WorkflowEngineError):
            return error
        import traceback

        stack = "".join(traceback.format_exception(error))
        return WorkflowEngineError(
            code, str(error) or type(error).__name__, {"type": type(error).__name__, "stack": stack}
        )


class DSLValidationError(WorkflowEngineError):
    """A template that cannot be accepted. `diagnostics` are `dsl.diagnostics.Diagnostic` values."""

    def __init__(self, diagnostics: Sequence[Any]) -> None:
        lines = "; ".join(str(d.message) for d in diagnostics if getattr(d, "level", "error") == "error")
        import msgspec

        first = msgspec.to_builtins(list(diagnostics[:DIAGNOSTICS_KEPT]))
        super().__init__("DSL_INVALID", f"DSL validation failed: {lines}", {"diagnostics": first})
        self.diagnostics = tuple(diagnostics)


class InvalidInputError(WorkflowEngineError):
    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__("INVALID_INPUT", message, details)


class NotFoundError(WorkflowEngineError):
    """Something asked for by name does not exist."""


class TemplateNotFoundError(NotFoundError):
    def __init__(self, name: str, hint: str = "") -> None:
        super().__init__("TEMPLATE_NOT_FOUND", f"Template '{name}' not found{hint}", {"name": name})


class RunNotFoundError(NotFoundError):
    def __init__(self, ref: str, hint: str = "") -> None:
        super().__init__("RUN_NOT_FOUND", f"Execution '{ref}' not found{hint}", {"run_id": ref})


class ComponentNotFoundError(NotFoundError):
    def __init__(self, path: str, hint: str = "") -> None:
        super().__init__("COMPONENT_NOT_FOUND", f"Unknown component '{path}'{hint}", {"component": path})


class TemplateExistsError(WorkflowEngineError):
    def __init__(self, name: str) -> None:
        super().__init__("TEMPLATE_EXISTS", f"Template '{name}' already exists", {"name": name})


class IdempotencyConflictError(WorkflowEngineError):
    def __init__(self, key: str, run_id: str) -> None:
        super().__init__(
            "IDEMPOTENCY_CONFLICT",
            f"Idempotency key '{key}' was used by {run_id} with another input; use a new key",
            {"key": key, "run_id": run_id},
        )


class StepError(WorkflowEngineError):
    def __init__(self, step_key: str, message: str, attempt: int, cause: BaseException | None = None) -> None:
        super().__init__("STEP_ERROR", message, {"step_key": step_key, "attempt": attempt})
        self.__cause__ = cause


class ComponentError(StepError):
    """Raised by a component to fail its step with a code of its own; `data` is JSON for the reader."""

    def __init__(self, code: str, message: str, data: Any = None) -> None:
        WorkflowEngineError.__init__(self, code, message, {} if data is None else {"data": data})


class StepTimeoutError(StepError):
    def __init__(self, step_key: str, timeout_ms: int) -> None:
        WorkflowEngineError.__init__(
            self,
            "STEP_TIMEOUT",
            f"Step '{step_key}' did not finish within {timeout_ms} ms",
            {"step_key": step_key, "timeout_ms": timeout_ms},
        )


class WorkflowCanceledError(WorkflowEngineError):
    def __init__(self, run_id: str) -> None:
        super().__init__("WORKFLOW_CANCELED", f"Execution {run_id} was cancelled", {"run_id": run_id})


class WorkflowTimeoutError(WorkflowEngineError):
    def __init__(self, run_id: str, timeout_ms: int) -> None:
        super().__init__(
            "WORKFLOW_TIMEOUT",
            f"Execution {run_id} did not finish within {timeout_ms} ms",
            {"run_id": run_id, "timeout_ms": timeout_ms},
        )


class ExpressionError(WorkflowEngineError):
    """A reference or condition that has no value, e.g. "Path $.x not found in the output of step 's'"."""

    def __init__(
        self, message: str, details: dict[str, Any] | None = None, place: tuple[str | int, ...] | None = None
    ) -> None:
        super().__init__("EXPRESSION_FAILED", message, details)
        self.place = place
        """Keys and indexes of the value in the flow; who knows the author's text makes a line and a column of them."""


class StorageError(WorkflowEngineError):
    def __init__(self, message: str, code: str = "STORAGE_ERROR", details: dict[str, Any] | None = None) -> None:
        super().__init__(code, message, details)


class StorageBusyError(StorageError):
    def __init__(self, message: str) -> None:
        super().__init__(message, "STORAGE_BUSY")


class NewerDatabaseError(StorageError):
    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            f"{path} was written by a newer StepFlow (schema {found}, this release knows {known}); "
            "upgrade StepFlow, or use another file with --db",
            "NEWER_DATABASE",
        )


class DatabaseGoneError(StorageError):
    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} was deleted or replaced while it was open here; nothing more is written: start this anew",
            "DATABASE_GONE",
        )


class LeaseLostError(StorageError):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"Another worker holds {run_id} now", "LEASE_LOST", {"run_id": run_id})


class StaleRunError(StorageError):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"{run_id} changed since it was read", "STALE_RUN", {"run_id": run_id})


class EventsPrunedError(StorageError):
    def __init__(self, oldest_seq: int) -> None:
        super().__init__(
            f"Events before seq {oldest_seq} were pruned; follow from there",
            "EVENTS_PRUNED",
            {"oldest_seq": oldest_seq},
        )
        self.oldest_seq = oldest_seq


class ImportRefusedError(WorkflowEngineError):
    def __init__(self, line: int, why: str) -> None:
        super().__init__("IMPORT_REFUSED", f"Line {line}: {why}", {"line": line})


class InvalidTransitionError(WorkflowEngineError):
    def __init__(self, what: str, before: str, after: str) -> None:
        super().__init__("INVALID_TRANSITION", f"{what} cannot move from {before} to {after}")
