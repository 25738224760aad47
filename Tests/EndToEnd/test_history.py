"""The judge of histories: each kind of bad history is found, and what may happen is not complained about."""

from __future__ import annotations

from history import Ending, Grant, Life, ambiguous_epochs, everything_wrong, most_at_once, older_after_newer
from history import over_limits, told_after_release, told_without_life, two_at_once

ANN = ("ann", "web")
BEN = ("ben", "web")


def grant(sandbox: str, epoch: int, sent: float, received: float, key: tuple[str, str] = ANN) -> Grant:
    return Grant(key, sandbox, epoch, sent, received)


def test_a_good_history_is_not_complained_about() -> None:
    # One lease, released, and another; the requests of both overlap in time as far as they may.
    grants = [grant("a", 1, 0, 2), grant("a", 1, 1, 3), grant("b", 2, 4, 6), grant("a", 1, 3.5, 7), grant("b", 2, 8, 9)]
    grants.append(grant("c", 1, 0, 9, key=BEN))
    lives = [Life("a", ANN, 0.5, 5), Life("b", ANN, 5.5), Life("c", BEN, 1)]
    endings = [Ending(ANN, 3.2, 4.5)]
    assert everything_wrong(grants, endings, lives, per_user=1, total=2) == []
    assert everything_wrong([], [], [], 1, 1) == []


def test_an_older_lease_after_a_newer_one_is_found() -> None:
    bad = [grant("a", 1, 0, 1), grant("b", 2, 2, 3), grant("a", 1, 3.1, 4)]
    assert len(older_after_newer(bad)) == 1
    # The order in which the answers were noted does not matter.
    assert len(older_after_newer(bad[::-1])) == 1
    # Begun before the newer one was told: it may have been answered first.
    assert older_after_newer([grant("b", 2, 2, 3), grant("a", 1, 2.9, 4)]) == []
    # Another key's epochs are no concern.
    assert older_after_newer([grant("b", 2, 2, 3), grant("c", 1, 4, 5, key=BEN)]) == []
    # The newest one told counts, not the one told last.
    assert len(older_after_newer([grant("c", 3, 0, 1), grant("b", 2, 0, 2), grant("b", 2, 3, 4)])) == 1


def test_an_epoch_of_two_sandboxes_and_a_sandbox_of_two_keys_are_found() -> None:
    assert len(ambiguous_epochs([grant("a", 1, 0, 1), grant("b", 1, 0, 1)])) == 1
    assert len(ambiguous_epochs([grant("a", 1, 0, 1), grant("a", 1, 0, 1, key=BEN)])) == 1
    # Taken over with a newer epoch, and an epoch that another key has too.
    assert ambiguous_epochs([grant("a", 1, 0, 1), grant("a", 2, 0, 1), grant("b", 1, 0, 1, key=BEN)]) == []


def test_two_sandboxes_at_once_are_found_whatever_their_epochs() -> None:
    # Back to the first one, as a lease that grows younger.
    assert two_at_once([grant("a", 1, 0, 1), grant("b", 2, 2, 3), grant("a", 3, 4, 5)]) != []
    # Told by turns.
    turns = [grant("ab"[number % 2], 1 + number % 2, number, number + 0.5) for number in range(6)]
    assert len(two_at_once(turns)) == 4
    # One after the other, with requests that cross.
    assert two_at_once([grant("a", 1, 0, 1), grant("a", 1, 2, 5), grant("b", 2, 3, 4), grant("b", 2, 6, 7)]) == []


def test_a_lease_told_after_its_release_is_found() -> None:
    ending = [Ending(ANN, 2, 3)]
    assert len(told_after_release([grant("a", 1, 0, 1), grant("a", 1, 4, 5)], ending)) == 1
    assert told_after_release([grant("a", 1, 0, 1), grant("a", 1, 2.5, 5)], ending) == []
    assert told_after_release([grant("a", 1, 0, 1), grant("b", 2, 4, 5)], ending) == []
    # Nobody had heard of it when the release was sent: it may have been made after the release.
    assert told_after_release([grant("a", 1, 0, 2.5), grant("a", 1, 4, 5)], ending) == []
    assert told_after_release([grant("a", 1, 0, 1, key=BEN), grant("a", 1, 4, 5, key=BEN)], ending) == []


def test_a_sandbox_that_did_not_live_when_it_was_told_is_found() -> None:
    told = [grant("a", 1, 5, 6)]
    assert "never made" in told_without_life(told, [])[0]
    assert "made for" in told_without_life(told, [Life("a", BEN, 0)])[0]
    assert "before it was made" in told_without_life(told, [Life("a", ANN, 7)])[0]
    assert "dead for 1.000 s" in told_without_life(told, [Life("a", ANN, 0, 4)])[0]
    assert told_without_life(told, [Life("a", ANN, 0, 5.5)]) == []
    assert told_without_life(told, [Life("a", ANN, 0, 4.99)], slack=0.1) == []


def test_a_moment_over_a_limit_is_found() -> None:
    lives = [Life("a", ANN, 0, 2), Life("b", ("ann", "api"), 1, 3), Life("c", BEN, 2, 4)]
    assert over_limits(lives, per_user=2, total=2) == []
    assert len(over_limits(lives, per_user=1, total=9)) == 1 and len(over_limits(lives, 9, 1)) == 2
    # One that never ends counts for ever; one without an owner counts in total only.
    assert len(over_limits([Life("a", None, 0), Life("b", None, 50)], per_user=0, total=1)) == 1
    assert most_at_once(lives) == 2 and most_at_once([]) == 0


def test_every_kind_of_fault_is_told_by_the_whole() -> None:
    grants = [grant("a", 1, 0, 1), grant("b", 2, 2, 3), grant("a", 1, 4, 5), grant("a", 2, 6, 7)]
    wrong = everything_wrong(grants, [Ending(ANN, 1.5, 1.6)], [Life("a", ANN, 0, 0.5)], per_user=0, total=0)
    words = ("one epoch", "an older lease", "two sandboxes", "released", "never made", "dead for", "in total", "for ann")
    assert [word for word in words if not any(word in one for one in wrong)] == []
