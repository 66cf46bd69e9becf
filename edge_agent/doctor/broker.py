"""Whether each uplink reaches its broker, and may write and read there what it must, and nothing else."""

from collections.abc import Iterator

from edge_agent.contract.topics import TOPICS
from edge_agent.doctor.certificate import certificates, of_peer, remaining
from edge_agent.doctor.finding import Finding, Group
from edge_agent.settings.model import Config
from edge_agent.settings.uplink import Uplink
from edge_agent.uplink.probe import Visit, visiting
from edge_agent.uplink.session_error import SessionError

_NOBODY = "doctor-check"  # a device, command or gateway that there is not
_PROBE = b'{"schema":"park.probe/1"}'
_REFUSED = "correct the broker's ACL; docs/contract.md has what a gateway may do"


def brokers(config: Config) -> Iterator[Finding]:
    """Visit the broker of every uplink under a client id of our own."""
    if not config.uplink:
        yield Group("broker").warn(
            "uplinks", "there is none: everything is kept, nothing is sent", "add [uplink.NAME] to agent.toml"
        )
    for name, uplink in config.uplink.items():
        yield from certificates(Group(f"broker {name}"), uplink)
        yield from _uplink(Group(f"broker {name}"), config, uplink)


def _uplink(group: Group, config: Config, uplink: Uplink) -> Iterator[Finding]:
    base = f"{uplink.root}/{config.gateway.site}/{config.gateway.id}"
    refused: list[tuple[str, SessionError]] = []
    proved = False
    for server in uplink.servers:
        try:
            with visiting(uplink, server) as visit:
                yield group.ok(str(server), f"connected, MQTT {visit.protocol}")
                if (end := of_peer(visit.peer)) is not None:
                    yield remaining(group, f"{server}: its certificate", end)
                if not proved:
                    proved = True
                    yield from rights(group, visit, base, f"{uplink.root}/+/+/status")
        except SessionError as error:
            refused.append((str(server), error))
    for name, why in refused:
        yield group.of_error("WARN" if proved else "FAIL", name, str(why).removeprefix(f"{name}: "))


def rights(group: Group, visit: Visit, base: str, others: str) -> Iterator[Finding]:
    """Try what a gateway must be able to do, and what it must not."""
    readable = {topic: visit.may_read(topic) for topic in (f"{base}/cmd/#", f"{base}/status")}
    for asked, granted in readable.items():
        if not granted:
            yield group.fail(f"read {asked}", "the broker refuses it", _REFUSED)
    visit.hears(f"{base}/status", 2.0)
    yield from _own_status(group, visit, f"{base}/status")
    denied, unknown = [], 0
    for topic in TOPICS:
        if topic.action != "send" or topic.name == "status":
            continue
        allowed = visit.may_write(f"{base}/{topic.name}" + (f"/{_NOBODY}" if topic.below else ""))
        denied += [topic.name] if allowed is False else []
        unknown += allowed is None
    if denied:
        yield group.fail(f"write below {base}", f"the broker refuses {', '.join(denied)}", _REFUSED)
    elif unknown:
        yield group.warn(
            f"write below {base}",
            "over MQTT 3.1.1 a broker cannot say what it refuses; only the own status is proved",
            "look into the broker's log for refused messages, or use a broker with MQTT 5",
        )
    else:
        yield group.ok(f"write below {base}", "allowed where it must be")
    yield from _too_much(group, visit, base, others)


def _own_status(group: Group, visit: Visit, topic: str) -> Iterator[Finding]:
    """Repeat what is retained there, not retained: to a consumer it is the same message once more.

    Where there is none, one of a schema that nobody knows: an empty one would say that the gateway is gone.
    """
    allowed = visit.may_write(topic, visit.heard.pop(topic, b"") or _PROBE)
    if allowed is False:
        yield group.fail(f"write {topic}", "the broker refuses it", _REFUSED)
    elif not visit.hears(topic, 3.0):
        yield group.fail(
            f"write and read {topic}", "what is written there does not come back to the gateway", _REFUSED
        )
    else:
        yield group.ok(f"write and read {topic}", "it comes back")


def _too_much(group: Group, visit: Visit, base: str, others: str) -> Iterator[Finding]:
    """Try what must be refused. A command that comes through is empty: an agent refuses it as malformed."""
    site, _, _ = base.rpartition("/")
    wrong = [
        topic
        for topic in (f"{base}/cmd/{_NOBODY}", f"{site}/{_NOBODY}/data/{_NOBODY}")
        if visit.may_write(topic) or (visit.protocol == "3.1.1" and visit.hears(topic))
    ]
    if wrong:
        yield group.warn(
            "write elsewhere",
            f"the broker allows {' and '.join(wrong)}",
            "allow only the gateway's own topics",
        )
    elif visit.protocol == "5":
        yield group.ok("write elsewhere", "refused: own commands, another gateway's topics")
    visit.heard.clear()
    if visit.may_read(others):
        visit.listen(2.0)
    foreign = [topic for topic in visit.heard if topic.endswith("/status") and topic != f"{base}/status"]
    if foreign:
        yield group.warn(
            "read elsewhere",
            f"other gateways' topics can be read, such as {foreign[0]}",
            "allow it to read its own status and cmd/#, and nothing else",
        )
    else:
        yield group.ok("read elsewhere", "nothing of another gateway is heard")
