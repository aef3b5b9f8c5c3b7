"""kill -9 at random moments, with letters of all kinds under way: of the daemons of both sites, and of Postfix with all its
processes. Afterwards every letter is counted: none is lost; what came twice came so within the one window.
"""

import random
import time

import killing

NEEDS = ("restante",)
TIMEOUT = 250
ROUNDS = 20
UNDER_WAY = 6
LETTERS = 15  # at most, a round
KINDS = (killing.small, killing.large, killing.several, killing.refused, killing.put_off, killing.unknown, killing.stub_refused,
         killing.stub_put_off, killing.plain_small)

_walk = []


def walk_of(bed):
    if not _walk:
        _walk.append(killing.Walk(bed).open())
    _walk[0].begin()
    return _walk[0]


def finish(_):
    """After the last case: the bed as it was."""
    while _walk:
        _walk.pop().close()


def chance(name):
    """A source of random numbers; its seed is printed, since nothing else tells what a failed run did."""
    seed = random.randrange(10 ** 6)
    print(f"{name}: seed {seed}")
    return random.Random(seed)


def at_a_random_moment(walk, dice, kinds, longest_s):
    """Lets a random time pass under load."""
    end, most = time.monotonic() + dice.random() * longest_s, len(walk.posts) + LETTERS
    while time.monotonic() < end:
        while sum(1 for one in walk.posts if not one.taken and not one.error) < UNDER_WAY and len(walk.posts) < most:
            walk.post(dice.choice(kinds)(), limit=60)
        walk.flush()
        time.sleep(0.01)


def test_daemons_of_both_sites(bed):
    """Twenty rounds under load: one or more of the four daemons are killed and started again."""
    walk, dice = walk_of(bed), chance("daemons")
    for _ in range(ROUNDS):
        at_a_random_moment(walk, dice, (*KINDS, killing.mixed), 0.6)
        victims = dice.sample([(site, name) for site in walk.sites for name in ("fetchd", "fetchd", "milter")],
                              dice.randint(1, 3))
        for site, name in victims:
            site.daemons.stop_one(name, grace=0)
        for site, name in victims:
            if not site.daemons.pid(name):
                site.daemons.start_one(name)
    # A link host that died so often is left alone for a while by whoever remembers it.
    walk.restart(bed.b, "fetchd")
    doubled = walk.count(double_letters=True, double_reports=True)
    print(f"{len(walk.posts)} letters, {doubled} letters or reports doubled")


def kill_postfix(walk, site, dice, rounds, **allowed):
    for _ in range(rounds):
        at_a_random_moment(walk, dice, KINDS, 0.6)
        site.mta.kill()
        site.mta.start()
    doubled = walk.count(double_reports=True, **allowed)
    print(f"{len(walk.posts)} letters, {doubled} letters or reports doubled")


def test_postfix_of_the_sender(bed):
    """Postfix at a: what it was given comes once, however often the client or fetchd had to say it again."""
    kill_postfix(walk_of(bed), bed.a, chance("a"), 5)


def test_postfix_of_the_recipient(bed):
    """Postfix at b: a letter comes twice only if Postfix delivered one queue file twice, or its answer to fetchd was lost."""
    kill_postfix(walk_of(bed), bed.b, chance("b"), 5, double_letters=True, own_doubles=True)
