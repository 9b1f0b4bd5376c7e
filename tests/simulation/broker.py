"""The brokers' side of a simulated Kafka: partitions, a group with its offsets, transactions.

What it holds is the truth that the observer judges by. A group's coordinator checks who a commit comes from as brokers
before 4.3 do: the member's generation (classic) or epoch (KIP-848), not who owns a partition; and of a transaction's
offsets that name no member at all, nothing.
"""

import random
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from tests.simulation.loop import Loop
from textstream.core.offsets import TopicPartition
from textstream.core.record import OutcomeKind

BROKERS = 3
GROUP_BROKER, TRANSACTION_BROKER = 0, 1
"""Which broker coordinates."""
SESSION_S = 0.4
"""A member that was not heard of for so long is out of the group."""
MAX_POLL_INTERVAL_S = 12.0
"""A member that does not poll for so long leaves, and one that does not join for so long is left behind. Above the worker's
longest pause after aborts (5 s) and its drain limits."""
CHECK_S = 0.05
"""Between two looks at who is still there."""


class Membership(NamedTuple):
    """Who a commit comes from. A classic client that was shut out is nobody: an empty id, generation -1."""

    member: str
    generation: int


NOBODY = Membership("", -1)


@dataclass(slots=True)
class InputPartition:
    """A log with gaps: compacted records, transaction markers, aborted records."""

    offsets: list[int] = field(default_factory=list)
    values: dict[int, bytes | None] = field(default_factory=dict)
    end: int = 0

    def append(self, value: bytes | None, gap: int) -> None:
        """A record behind a gap."""
        offset = self.end + gap
        self.offsets.append(offset)
        self.values[offset] = value
        self.end = offset + 1

    def from_offset(self, offset: int) -> int:
        """The index of the first record at or behind an offset."""
        return bisect_left(self.offsets, offset)


class Written(NamedTuple):
    """One outcome in an output partition."""

    source: TopicPartition
    offset: int
    kind: OutcomeKind
    run: int  # which assignment it was read in


Destination = tuple[str, int]


@dataclass(slots=True, eq=False)
class Transaction:
    """What was sent under one `begin`, and what became of it."""

    id: str
    epoch: int
    state: Literal["new", "open", "committed", "aborted"] = "new"
    written: list[tuple[Destination, Written]] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)


class Watcher(Protocol):
    """Sees what the brokers accept."""

    def appended(self, to: Destination, outcome: Written) -> None:
        """An outcome stands in a log, of which a transaction may not be ended."""
        ...

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The group holds these."""
        ...

    def transaction_committed(self, transaction: Transaction) -> None:
        """It will stand, whatever happens now."""
        ...


class Network:
    """How long things take, and which brokers are away."""

    def __init__(self, loop: Loop, rng: random.Random) -> None:
        self._loop = loop
        self._random = rng.random
        self.latency_s = 0.004
        self.slow_until = 0.0
        self._away_until = [0.0] * BROKERS

    def latency(self) -> float:
        """One way, this time."""
        mean = self.latency_s * (8 if self._loop.now < self.slow_until else 1)
        return mean * (0.2 + 1.6 * self._random())

    def take_away(self, broker: int, seconds: float) -> None:
        """The broker answers nobody for a while, unless it is away already."""
        if not self.away(broker):
            self._away_until[broker] = self._loop.now + seconds

    def away(self, broker: int) -> bool:
        """Whether the broker answers nobody."""
        return self._away_until[broker] > self._loop.now

    def reach(self, broker: int, do: Callable[[], object]) -> None:
        """Do it at once, or when the broker is back; what has to wait is done in the order in which it was asked for."""
        if self.away(broker):
            self._loop.at(self._away_until[broker], lambda: self.reach(broker, do))
        else:
            do()


class Connection:
    """From one client to one broker: requests arrive in the order in which they were sent."""

    def __init__(self, loop: Loop, network: Network, broker: int) -> None:
        self._loop = loop
        self._network = network
        self._broker = broker
        self._last = 0.0

    def send(self, do: Callable[[], object]) -> None:
        """Have something done at the broker."""
        self._last = max(self._last, self._loop.now + self._network.latency())
        self._loop.at(self._last, lambda: self._network.reach(self._broker, do))


class Client(Protocol):
    """A member's side, in the background of its process."""

    @property
    def claims(self) -> Iterable[TopicPartition]:
        """What it says that it owns."""
        ...

    @property
    def settled(self) -> bool:
        """Whether all that it was told is done."""
        ...

    def told(self, membership: Membership, revoked: set[TopicPartition], assigned: set[TopicPartition] | None) -> None:
        """The group has moved on."""
        ...

    def shut_out(self) -> None:
        """It is no member any more."""
        ...


@dataclass(slots=True)
class Member:
    """What the coordinator knows of a member."""

    client: Client
    seen: float
    epoch: int = 0
    owned: set[TopicPartition] = field(default_factory=set)
    target: set[TopicPartition] = field(default_factory=set)
    joined: bool = False
    told: int = 0


class Group:
    """The coordinator of one group: members, generations, committed offsets."""

    def __init__(self, loop: Loop, network: Network, rng: random.Random, protocol: str) -> None:
        self._loop = loop
        self._network = network
        self._random = rng
        self.classic = protocol == "classic"
        self.partitions: list[TopicPartition] = []
        self.members: dict[str, Member] = {}
        self.generation = 0
        self._joining_since: float | None = None
        self._refusing_until = 0.0
        self._names = 0
        self.committed: dict[TopicPartition, int] = {}
        self._pending: dict[Transaction, dict[TopicPartition, int]] = {}
        self.watcher: Watcher | None = None
        loop.after(CHECK_S, self._check)

    # ---- members

    def join(self, client: Client) -> str:
        """A new member; it hears of its partitions in later heartbeats."""
        self._names += 1
        name = f"m{self._names}"
        self.members[name] = Member(client, self._loop.now)
        self._changed()
        return name

    def leave(self, name: str) -> None:
        """A member is out: by its own wish, or because it was not heard of."""
        if self.members.pop(name, None) is not None:
            self._changed()

    def add_partitions(self, partitions: Iterable[TopicPartition]) -> None:
        """A topic has grown."""
        self.partitions = sorted({*self.partitions, *partitions})
        self._changed()

    def rejoin(self) -> None:
        """A classic member has given partitions up: somebody may have them now."""
        if self._joining_since is None:
            self._joining_since = self._loop.now
            for member in self.members.values():
                member.joined = False

    def heartbeat(self, name: str, client: Client) -> None:
        """A member is there, and hears what it has to do."""
        member = self.members.get(name)
        if member is None:
            client.shut_out()
            return
        member.seen = self._loop.now
        (self._classic_round if self.classic else self._reconcile)(name, member)

    def _changed(self) -> None:
        if self.classic:
            self.rejoin()
            self._finish_round()
        else:
            self.generation += 1
            self._spread({name: member.owned for name, member in self.members.items()})

    def _spread(self, owned: Mapping[str, set[TopicPartition]]) -> None:
        """Sticky: everybody keeps what is within a fair share."""
        if not owned:
            return
        share, more = divmod(len(self.partitions), len(owned))
        left = set(self.partitions)
        for name in sorted(owned, key=lambda name: (-len(owned[name]), name)):
            room = share + (1 if more > 0 and len(owned[name]) > share else 0)
            more -= room > share
            self.members[name].target = set(sorted(owned[name])[:room])
            left -= self.members[name].target
        for partition in sorted(left):
            name = min(sorted(owned), key=lambda name: len(self.members[name].target))
            self.members[name].target.add(partition)

    def _classic_round(self, name: str, member: Member) -> None:
        """Cooperative rebalancing: all join, all are told; what has to move is given up first, and moves in the next round."""
        if member.told != self.generation and member.epoch == self.generation:
            member.told = self.generation
            owned = set(member.client.claims)
            membership = Membership(name, self.generation)
            member.client.told(membership, owned - member.target, member.target - owned)
        elif self._joining_since is not None and not member.joined and member.client.settled:
            member.joined = True
            member.owned = set(member.client.claims)
            self._finish_round()

    def _finish_round(self) -> None:
        if not all(member.joined for member in self.members.values()):
            return
        self._joining_since = None
        self.generation += 1
        self._refusing_until = self._loop.now + self._random.uniform(0, 0.05)
        self._spread({name: member.owned for name, member in self.members.items()})
        everything = [(name, partition) for name, member in self.members.items() for partition in member.owned]
        for name, member in self.members.items():
            member.target -= {partition for owner, partition in everything if owner != name}
            member.epoch = self.generation

    def _reconcile(self, name: str, member: Member) -> None:
        """KIP-848: each member moves to its target by itself; its epoch follows once it has given up what it must."""
        if not member.client.settled:
            return
        member.owned = set(member.client.claims)
        if revoked := member.owned - member.target:
            member.client.told(Membership(name, member.epoch), revoked, None)
            return
        others = {partition for other in self.members.values() if other is not member for partition in other.owned}
        free = member.target - member.owned - others
        if free or member.epoch != self.generation:
            member.epoch = self.generation
            member.owned |= free
            member.client.told(Membership(name, member.epoch), set(), free or None)

    def _check(self) -> None:
        """Who was not heard of is out. A coordinator that comes back gives everybody a new session."""
        self._loop.after(CHECK_S, self._check)
        if self._network.away(GROUP_BROKER):
            for member in self.members.values():
                member.seen = self._loop.now
        for name, member in list(self.members.items()):
            if self._loop.now - member.seen > SESSION_S:
                self.leave(name)
        if self._joining_since is not None and self._loop.now - self._joining_since > MAX_POLL_INTERVAL_S:
            for name in [name for name, member in self.members.items() if not member.joined]:
                del self.members[name]
            self._finish_round()

    # ---- offsets

    def accepts(self, who: Membership, *, in_transaction: bool = False) -> bool:
        """Whether a commit may come from there. Who owns a partition is not asked, nor anything of nobody: a group without
        members takes commits from outside, and a transaction may be of a producer that knows nothing of members."""
        if who == NOBODY and (in_transaction or not self.members):
            return True
        member = self.members.get(who.member)
        known = member is not None and who.generation == member.epoch
        return known and (in_transaction or self._loop.now >= self._refusing_until)

    def commit(self, offsets: Mapping[TopicPartition, int], who: Membership) -> bool:
        """Hold these from now on; False when that was refused."""
        if not self.accepts(who):
            return False
        self._hold(offsets)
        return True

    def add_pending(self, transaction: Transaction, offsets: Mapping[TopicPartition, int]) -> None:
        """To be held once the transaction is committed."""
        self._pending.setdefault(transaction, {}).update(offsets)

    def end_pending(self, transaction: Transaction, *, commit: bool) -> None:
        """The transaction's marker has come."""
        offsets = self._pending.pop(transaction, {})
        if commit:
            self._hold(offsets)

    def stable(self, partitions: Iterable[TopicPartition]) -> bool:
        """Whether no transaction that is not ended would change these."""
        pending = {partition for offsets in self._pending.values() for partition in offsets}
        return pending.isdisjoint(partitions)

    def _hold(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.watcher is not None:
            self.watcher.committed(offsets)
        self.committed.update(offsets)


class Transactions:
    """The coordinator of transactions: one producer at a time for each id, one transaction at a time for each producer."""

    def __init__(self, loop: Loop, network: Network, group: Group, timeout_s: float) -> None:
        self._loop = loop
        self._network = network
        self._group = group
        self._timeout_s = timeout_s
        self._epochs: dict[str, int] = {}
        self._last: dict[str, Transaction] = {}
        self._marking: dict[str, int] = {}  # how many transactions of an id are decided, and not ended everywhere
        self._markers: dict[str, Connection] = {}
        self.watcher: Watcher | None = None

    def open_producer(self, name: str) -> int | None:
        """Fence whoever had the id, end what it left open; None while its last transaction is being ended."""
        if name in self._last:
            self.end(self._last[name], commit=False)
        if self._marking.get(name):
            return None
        self._epochs[name] = self._epochs.get(name, -1) + 1
        return self._epochs[name]

    def fenced(self, transaction: Transaction) -> bool:
        """Whether somebody else has the id by now."""
        return self._epochs[transaction.id] != transaction.epoch

    def enter(self, transaction: Transaction) -> bool:
        """Something is to be added; False when it is ended."""
        if transaction.state == "new" and not self.fenced(transaction):
            transaction.state = "open"
            self._last[transaction.id] = transaction
            self._loop.after(self._timeout_s, lambda: self._expire(transaction))
        return transaction.state == "open" and not self.fenced(transaction)

    def end(self, transaction: Transaction, *, commit: bool) -> bool:
        """Decide; False when it was decided otherwise. What follows from it takes a moment."""
        wanted = "committed" if commit else "aborted"
        if transaction.state in ("new", "open"):
            if commit and self.watcher is not None:
                self.watcher.transaction_committed(transaction)
            transaction.state = "committed" if commit else "aborted"
            self._marking[transaction.id] = self._marking.get(transaction.id, 0) + 1
            if transaction.id not in self._markers:
                self._markers[transaction.id] = Connection(self._loop, self._network, GROUP_BROKER)
            self._markers[transaction.id].send(lambda: self._mark(transaction))
        return transaction.state == wanted

    def _mark(self, transaction: Transaction) -> None:
        self._group.end_pending(transaction, commit=transaction.state == "committed")
        self._marking[transaction.id] -= 1

    def _expire(self, transaction: Transaction) -> None:
        if transaction.state == "open" and not self.fenced(transaction):
            self._epochs[transaction.id] += 1
            self.end(transaction, commit=False)


class Brokers:
    """All of it."""

    def __init__(self, loop: Loop, rng: random.Random, *, protocol: str, transaction_timeout_s: float) -> None:
        self.network = Network(loop, rng)
        self.inputs: dict[TopicPartition, InputPartition] = {}
        self.group = Group(loop, self.network, rng, protocol)
        self.transactions = Transactions(loop, self.network, self.group, transaction_timeout_s)
        self.watcher: Watcher | None = None
        self.refusals: deque[str] = deque()  # what the next requests are answered with

    def watch(self, watcher: Watcher) -> None:
        """Show everything that is accepted to this one."""
        self.watcher = self.group.watcher = self.transactions.watcher = watcher

    def grow(self, topic: str, count: int) -> None:
        """The topic has so many partitions from now on."""
        new = [(topic, number) for number in range(count) if (topic, number) not in self.inputs]
        self.inputs |= {partition: InputPartition() for partition in new}
        self.group.add_partitions(new)

    def append(self, to: Destination, outcome: Written, transaction: Transaction | None) -> bool:
        """Write an outcome; False when its transaction is ended."""
        if transaction is not None:
            if not self.transactions.enter(transaction):
                return False
            transaction.written.append((to, outcome))
        if self.watcher is not None:
            self.watcher.appended(to, outcome)
        return True
