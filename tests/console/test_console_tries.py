"""Who guesses is slowed down, from however many addresses; who was let in before is not."""

import pytest

from edge_agent.console import tries
from edge_agent.console.tries import HERE, Tries, Who, from_address, from_browser
from edge_agent.console.users import User
from tests.console.moment import Now

WANG = User("$argon2id$v=19$a hash", "operator")


def until_refused(counted: Tries, who: Who) -> int:
    """Guess as often as one may; return how often that was."""
    return next(number for number in range(1000) if counted.wait(who))


def test_an_address_has_five_tries_and_then_one_a_minute() -> None:
    now = Now()
    counted, guesser = Tries(now), from_address("10.0.0.1")
    assert until_refused(counted, guesser) == 5
    assert 59 < counted.wait(guesser) <= 60
    now.at += 61
    assert until_refused(counted, guesser) == 1
    assert counted.wait(from_address("10.0.0.2")) == 0
    now.at += 301
    assert until_refused(counted, guesser) == 5


def test_many_addresses_guess_no_faster_and_lock_nobody_out() -> None:
    """Thirty wrong passwords from six addresses closed the page to everybody, once."""
    now = Now()
    counted = Tries(now)
    guessers = [from_address(f"10.0.{number}.1") for number in range(200)]
    assert sum(until_refused(counted, one) for one in guessers) == 30
    operator = from_browser(tries.mark("wang", WANG), "wang", WANG)
    assert operator is not None
    assert counted.wait(operator) == 0, "with the browser of every day"
    assert counted.wait(from_address("127.0.0.1")) == 0, "through ssh"
    assert 0 < counted.wait(from_address("10.9.9.9")) <= 10, "with a new browser, soon"
    hour = 0
    for _ in range(3600):
        now.at += 1
        hour += sum(counted.wait(one) == 0 for one in guessers)
    assert hour <= 3600 / 10 + 30


def test_what_was_right_is_not_counted() -> None:
    counted, who = Tries(Now()), from_address("10.0.0.1")
    for _ in range(50):
        assert counted.wait(who) == 0
        counted.right(who)
    counted.right(who)
    assert until_refused(counted, who) == 5


def test_who_knows_the_browsers_mark_has_five_tries_too() -> None:
    counted = Tries(Now())
    known = from_browser(tries.mark("wang", WANG), "wang", WANG)
    assert known is not None
    assert until_refused(counted, known) == 5


def test_a_mark_is_of_one_user_and_one_password() -> None:
    made = tries.mark("wang", WANG)
    assert from_browser(made, "wang", WANG) == from_browser(made, "wang", WANG)
    assert from_browser(made, "li", WANG) is None
    assert from_browser(made, "wang", User("$argon2id$v=19$another", "operator")) is None
    assert from_browser(made, "wang", None) is None
    for forged in ("", ".", "a.b", made[:-1], f"x{made}", "ä.ö"):
        assert from_browser(forged, "wang", WANG) is None


@pytest.mark.parametrize(
    ("address", "name", "stranger"),
    [
        ("10.0.0.1", "10.0.0.1/32", True),
        ("::ffff:10.0.0.1", "10.0.0.1/32", True),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", True),
        ("fe80::1%eth0", "fe80::/64", True),
        ("127.0.0.1", HERE, False),
        ("127.8.8.8", HERE, False),
        ("::1", HERE, False),
        ("::ffff:127.0.0.1", HERE, False),
        ("", "", True),
    ],
)
def test_whose_tries_are_counted_together(address: str, name: str, stranger: bool) -> None:  # noqa: FBT001 - a column
    assert from_address(address) == Who(name, stranger)
