"""The simulated world is a product: what it says of Kafka is what the real one does."""

import random

from tests.simulation.broker import SESSION_S, Brokers, Membership, Transaction, Written
from tests.simulation.loop import Actor, Crashed, Loop
from textstream.core.offsets import TopicPartition

P: TopicPartition = ("t", 0)


class FakeClient:
    """A member that does what it is told, at once."""

    def __init__(self) -> None:
        self.claims: set[TopicPartition] = set()
        self.settled = True
        self.membership = Membership("", -1)
        self.out = False

    def told(self, membership: Membership, revoked: set[TopicPartition], assigned: set[TopicPartition] | None) -> None:
        """Does it at once."""
        self.membership = membership
        self.claims = self.claims - revoked | (assigned or set())
        self.gave_up = bool(revoked)

    def shut_out(self) -> None:
        """Takes note."""
        self.out = True


def brokers(protocol: str = "classic") -> tuple[Loop, Brokers]:
    """A cluster with one topic of two partitions."""
    loop = Loop()
    cluster = Brokers(loop, random.Random(1), protocol=protocol, transaction_timeout_s=1)
    cluster.grow("t", 2)
    return loop, cluster


def pass_time(loop: Loop, seconds: float) -> None:
    """Let everything happen that is due by then."""
    end = loop.now + seconds
    loop.at(end, lambda: None)
    loop.run(lambda: loop.now >= end)


def rebalance(loop: Loop, cluster: Brokers, members: dict[str, FakeClient]) -> None:
    """Heartbeats until everybody has heard everything."""
    for _ in range(8):
        pass_time(loop, SESSION_S / 10)
        for name, client in members.items():
            cluster.group.heartbeat(name, client)
            if cluster.group.classic and getattr(client, "gave_up", False):
                client.gave_up = False
                cluster.group.rejoin()


def test_waiting_lets_time_pass_and_a_crash_ends_it() -> None:
    """Two actors wait side by side in simulated time, in its order; one that crashes goes no further."""
    loop = Loop()
    seen: list[tuple[str, float]] = []
    slow, quick = Actor("slow"), Actor("quick")

    def run(actor: Actor, seconds: float, times: int) -> None:
        try:
            for _ in range(times):
                loop.wait(actor, seconds)
                seen.append((actor.name, round(loop.now, 3)))
        except Crashed:
            seen.append((actor.name, -1))

    loop.start(slow, lambda: run(slow, 0.2, 2))
    loop.start(quick, lambda: run(quick, 0.15, 100))
    loop.at(0.35, lambda: loop.crash(quick))
    loop.run(lambda: len(seen) == 5)
    assert seen == [("quick", 0.15), ("slow", 0.2), ("quick", 0.3), ("quick", -1), ("slow", 0.4)]


def test_partitions_move_only_when_they_were_given_up() -> None:
    """In both protocols a second member gets its share, and no partition is claimed by two at any time."""
    for protocol in ("classic", "consumer"):
        loop, cluster = brokers(protocol)
        members: dict[str, FakeClient] = {}
        for _ in range(2):
            client = FakeClient()
            members[cluster.group.join(client)] = client
            for _ in range(12):
                rebalance(loop, cluster, members)
                assert sum(len(one.claims) for one in members.values()) <= 2
        assert [len(client.claims) for client in members.values()] == [1, 1]


def test_who_is_not_heard_of_is_out_and_its_commits_are_refused() -> None:
    """After the session timeout another member has the partitions; an older generation or epoch commits nothing."""
    for protocol in ("classic", "consumer"):
        loop, cluster = brokers(protocol)
        first, second = FakeClient(), FakeClient()
        names = {cluster.group.join(first): first}
        rebalance(loop, cluster, names)
        pass_time(loop, 0.1)
        assert cluster.group.commit({P: 3}, first.membership)
        later = {cluster.group.join(second): second}
        for _ in range(3):
            rebalance(loop, cluster, later)
        assert len(second.claims) == 2
        assert not cluster.group.commit({P: 1}, first.membership)
        cluster.group.heartbeat(next(iter(names)), first)
        assert first.out
        pass_time(loop, 0.1)
        assert cluster.group.commit({P: 5}, second.membership)
        assert cluster.group.committed[P] == 5


def test_whether_it_owns_the_partition_is_not_asked() -> None:
    """As brokers before 4.3: any member of the present generation may commit any partition."""
    loop, cluster = brokers()
    members = {cluster.group.join(client): client for client in (FakeClient(), FakeClient())}
    rebalance(loop, cluster, members)
    pass_time(loop, 0.1)
    for client in members.values():
        assert cluster.group.accepts(client.membership, in_transaction=True)


def test_a_transactions_offsets_are_unstable_until_its_marker_has_come() -> None:
    """They are waited for; committed they are held, aborted they are not."""
    for commit in (True, False):
        loop, cluster = brokers()
        epoch = cluster.transactions.open_producer("x")
        assert epoch == 0
        transaction = Transaction("x", epoch)
        assert cluster.append(("o", 0), Written(P, 0, "enriched", 1), transaction)
        cluster.group.add_pending(transaction, {P: 1})
        assert not cluster.group.stable([P])
        assert cluster.group.stable([("t", 1)])
        assert cluster.transactions.end(transaction, commit=commit)
        assert not cluster.group.stable([P])
        pass_time(loop, 0.1)
        assert cluster.group.stable([P])
        assert cluster.group.committed == ({P: 1} if commit else {})
        assert not cluster.transactions.end(transaction, commit=not commit)


def test_a_new_producer_fences_the_old_one_and_so_does_time() -> None:
    """The id's next owner aborts what was left open; so does the coordinator after the transaction timeout."""
    loop, cluster = brokers()
    epoch = cluster.transactions.open_producer("x")
    assert epoch is not None
    left_open = Transaction("x", epoch)
    assert cluster.transactions.enter(left_open)
    assert cluster.transactions.open_producer("x") is None  # while it is being ended
    pass_time(loop, 0.1)
    again = cluster.transactions.open_producer("x")
    assert again is not None and again > epoch
    assert left_open.state == "aborted"
    assert not cluster.append(("o", 0), Written(P, 0, "enriched", 1), left_open)
    too_long = Transaction("x", again)
    assert cluster.transactions.enter(too_long)
    pass_time(loop, 1.1)
    assert too_long.state == "aborted"
    assert cluster.transactions.fenced(too_long)


def test_a_broker_that_is_away_answers_later_and_in_order() -> None:
    """Requests of one connection arrive in the order in which they were sent, also across an outage."""
    from tests.simulation.broker import Connection

    loop, cluster = brokers()
    connection, arrived = Connection(loop, cluster.network, 2), []
    for number in range(20):
        loop.at(number * 0.002, lambda number=number: connection.send(lambda: arrived.append((number, loop.now))))
    loop.at(0.01, lambda: cluster.network.take_away(2, 0.05))
    loop.at(0.03, lambda: cluster.network.take_away(2, 0.5))
    pass_time(loop, 1)
    assert [number for number, _ in arrived] == list(range(20))
    assert not [at for _, at in arrived if 0.01 < at < 0.06]
