"""What holds for every run that any test makes; checked when its storage is closed."""

from __future__ import annotations

from stepflow.contracts.storage import Storage
from stepflow.core.past import fold_log
from stepflow.model.event import FINAL_RUN_EVENTS, EventType
from stepflow.model.statuses import StepStatus

PAGE = 100_000


def check_all_runs(storage: Storage) -> None:
    cursor = None
    while True:
        runs, cursor = storage.list_runs(500, cursor, None, None, True)
        for run in runs:
            check_run(storage, run.id)
        if cursor is None:
            return


def check_run(storage: Storage, run_id: str) -> None:
    """The stored run equals the fold of its events; its log has no gap, one final event, and nothing after it."""
    events = storage.get_events(run_id, after_seq=0, before_seq=None, limit=PAGE, newest=False)
    assert [event.run_seq for event in events] == list(range(1, len(events) + 1)), f"{run_id}: gaps in the log"
    seqs = [event.seq for event in events]
    assert seqs == sorted(seqs)
    final = [event for event in events if event.event_type in FINAL_RUN_EVENTS]
    stored = storage.load_run(run_id)
    assert len(final) == (1 if stored.state.status.is_final else 0), f"{run_id}: {len(final)} final events"
    if final:
        assert events[-1] is final[0], f"{run_id}: {events[-1].event_type} follows the final event"

    flow = storage.template_version_by_id(stored.template_version).flow
    run_state, step_states = fold_log(events, [step.key for step in flow.steps])
    assert stored.state == run_state, f"{run_id}: the run is not the fold of its events"
    for index, folded in enumerate(step_states):
        found = stored.steps.get(index)
        if found is None:
            assert folded.status is StepStatus.PENDING
            continue
        assert found == folded, f"{run_id}: step '{flow.steps[index].key}' is not the fold of its events"
    completed = [event.step_key for event in events if event.event_type == EventType.STEP_COMPLETED]
    assert len(completed) == len(set(completed)), f"{run_id}: a step was committed twice"
