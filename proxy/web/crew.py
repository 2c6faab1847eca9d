"""What a worker has in common with the others of its proxy."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.web.certificates import Certificates
from proxy.web.metrics import Metrics
from proxy.web.runtime import Made


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Crew:
    """Of one worker; by default it is alone.

    Only the one that ``speaks`` logs what is true of all. ``relieves``: others serve while it
    starts, so that it can take its time to be ready. ``replaces``: it takes the place of one that
    has ended, with the ``made`` and the ``certificates`` that all of its generation have.
    ``workers``: how many.
    """

    metrics: Metrics = field(default_factory=Metrics)
    made: Made | None = None
    speaks: bool = True
    relieves: bool = False
    replaces: bool = False
    certificates: Certificates | None = None
    workers: int = 1
