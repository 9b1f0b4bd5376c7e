"""Simulated time: a queue of events, and actors that run one at a time, each on a thread of its own.

A thread that waits runs the events itself until its own turn comes; it hands over only to another actor. So the order of
everything is the queue's, never the machine's, and a seed replays exactly.
"""

import heapq
import threading
from collections.abc import Callable
from itertools import count


class Crashed(BaseException):
    """The process is gone: nothing that it would still do reaches the world."""


class Actor:
    """Code that waits in simulated time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.crashed = False
        self.frozen_until = 0.0
        self._baton = threading.Lock()
        self._baton.acquire()
        self.awake = False
        self.ready: Callable[[], bool] | None = None  # what ends its wait early
        self.waits = 0  # so that the end of an earlier wait wakes nobody

    def resume(self) -> None:
        """Let its thread run; called by the thread that ran so far, which then pauses or ends."""
        self._baton.release()

    def pause(self) -> None:
        """Until `resume`."""
        self._baton.acquire()


class Loop:
    """The queue of events. `main` is the thread that made it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()
        self.main = Actor("main")
        self._running = self.main
        self._next: Actor | None = None
        self.failure: BaseException | None = None

    def at(self, when: float, do: Callable[[], object]) -> None:
        """Do it then; what is due at the same time is done in the order in which it was asked for."""
        heapq.heappush(self._events, (max(when, self.now), next(self._numbers), do))

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Do it in so many seconds."""
        self.at(self.now + seconds, do)

    def start(self, actor: Actor, run: Callable[[], None]) -> None:
        """Run an actor on a thread of its own, from now on. A failure of it ends the simulation."""

        def body() -> None:
            actor.pause()
            try:
                run()
            except BaseException as failure:
                self.failure = self.failure or failure
            self._running = self.main
            self.main.resume()

        threading.Thread(target=body, name=actor.name, daemon=True).start()
        self.after(0, lambda: self._wake(actor, actor.waits))

    def wait(self, actor: Actor, seconds: float, ready: Callable[[], bool] | None = None) -> None:
        """Let time pass for an actor, until `ready` where it is told that something came (`tell`)."""
        if actor.crashed:
            raise Crashed
        if ready is not None and ready():
            return
        actor.waits += 1
        actor.awake, actor.ready = False, ready
        waited = actor.waits
        self.at(max(self.now + seconds, actor.frozen_until), lambda: self._wake(actor, waited))
        self._run(actor, lambda: actor.awake)
        actor.ready = None
        if actor.crashed:
            raise Crashed

    def tell(self, actor: Actor) -> None:
        """Something came that the actor may be waiting for."""
        if actor.ready is not None and actor.ready():
            waited = actor.waits
            self.at(max(self.now, actor.frozen_until), lambda: self._wake(actor, waited))

    def crash(self, actor: Actor) -> None:
        """The process is gone, at whatever it waits for."""
        actor.crashed, actor.frozen_until = True, 0.0
        waited = actor.waits
        self.after(0, lambda: self._wake(actor, waited))

    def run(self, until: Callable[[], bool]) -> None:
        """Let time pass, on the main thread."""
        self._run(self.main, until)

    def _run(self, me: Actor, until: Callable[[], bool]) -> None:
        while not until():
            if self.failure is not None:
                if me is self.main:
                    return
                self._hand_over(me, self.main)
                continue
            assert self._events, "nothing will ever happen again"
            self.now, _, do = heapq.heappop(self._events)
            try:
                do()
            except BaseException as failure:
                self.failure = failure
                continue
            if (other := self._next) is not None:
                self._next = None
                if other is not me:
                    self._hand_over(me, other)

    def _hand_over(self, me: Actor, other: Actor) -> None:
        self._running = other
        other.resume()
        me.pause()

    def _wake(self, actor: Actor, waited: int) -> None:
        if actor.waits != waited or actor.awake:
            return
        if actor.frozen_until > self.now:
            self.at(actor.frozen_until, lambda: self._wake(actor, waited))
            return
        actor.awake = True
        self._next = actor

    def end(self, actors: list[Actor]) -> None:
        """Unwind the threads of actors that still wait."""
        for actor in actors:
            actor.crashed = actor.awake = True
            self._hand_over(self.main, actor)
