"""Why jobs of a queue wait: no living runner claims them, with the cause and a way out."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from runners.models import Runner
from runners.querysets import living_runners

#: A queue, and the protocol that a runner needs for the job run.
Wanted = tuple[str, int]

# Runners that left are searched for the last one of a queue: the newest of them.
_MOST_SEARCHED = 200


def unserved_queues(wanted: Collection[Wanted]) -> dict[Wanted, str]:
    """Return a sentence for each of the wanted that no living runner claims now.

    One statement if all are served, two if one is not.
    """
    living = list(living_runners().order_by("name"))
    missing = [each for each in wanted if not any(_claims(runner, each) for runner in living)]
    if not missing:
        return {}
    left = list(
        Runner.objects.exclude(pk__in=[runner.pk for runner in living]).order_by("-heartbeat_at")[
            :_MOST_SEARCHED
        ]
    )
    return {each: _cause(each, living, left) for each in missing}


def _claims(runner: Runner, wanted: Wanted) -> bool:
    queue, protocol = wanted
    return (
        queue in runner.queues
        and runner.protocol >= protocol
        and runner.said == Runner.State.ONLINE
        and runner.drain_requested_at is None
        and not runner.trouble
    )


def _cause(wanted: Wanted, living: Iterable[Runner], left: Iterable[Runner]) -> str:
    queue, protocol = wanted
    start = f"Start one with: manage.py runner --queues {queue}"
    present = [runner for runner in living if queue in runner.queues]
    able = [runner for runner in present if runner.protocol >= protocol]
    for runner in able:
        if runner.trouble:
            return f"Runner {runner.name} of queue {queue} claims no job now. {runner.trouble}"
    if able:
        return f"Runner {able[0].name} of queue {queue} is draining. {start}"
    if present:
        return (
            f"The runners of queue {queue} are of an older version, which cannot run this job. "
            "Upgrade them."
        )
    stopped = next((runner.name for runner in left if queue in runner.queues), "")
    if stopped:
        return f"No runner serves queue {queue} now. The last was {stopped}. {start}"
    return f"No runner serves queue {queue}. {start}"
