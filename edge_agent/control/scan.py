"""The verbs that scan a port, which is lent for it, or a BLE adapter. A scan only reads."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field

from edge_agent.bus.address import Address
from edge_agent.bus.serial import BusError, SerialFormat
from edge_agent.control.protocol import LEASE_S, STRICT, Person, RefusedError
from edge_agent.control.server import Tell
from edge_agent.settings.field_types import Adapter

_WITHIN = 0.2  # seconds that a device may take to answer
_TOLD_EACH_S = 0.5
_LATE_S = 30.0  # for a process to begin and to end


class ScanArgs(BaseModel):
    """A port, which Modbus addresses to ask, and serial formats; without any, those that drivers name."""

    model_config = STRICT

    port: Annotated[str, Field(max_length=1000)]
    addresses: Annotated[tuple[Annotated[int, Field(ge=1, le=247)], ...], Field(min_length=1, max_length=247)]
    speeds: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    by: Person


class ScanAirArgs(BaseModel):
    """An adapter, and for how many seconds it is listened to."""

    model_config = STRICT

    adapter: Annotated[Adapter, Field(min_length=1)] = "hci0"
    seconds: Annotated[int, Field(ge=1, le=300)] = 30


async def scan_port(
    lent: Callable[[str, str], AbstractAsyncContextManager[str]], args: ScanArgs, tell: Tell
) -> Mapping[str, Any]:
    """Scan a port, which the agent does not use meanwhile; the progress has what was found so far.

    Raises:
        RefusedError: the port is lent already, cannot be used, or nothing can be found on it.
    """
    from edge_agent.onsite.plan import plan_scan  # noqa: PLC0415 - with all drivers: only where it is asked for
    from edge_agent.onsite.scan import Scan, Step  # noqa: PLC0415 - as above

    stepped, latest = asyncio.Event(), [Step("", 0.0, 0.0)]

    def step(now: Step) -> None:
        latest[0] = now
        stepped.set()

    async def telling(work: Scan) -> None:
        while True:
            await stepped.wait()
            stepped.clear()
            await tell({**asdict(latest[0]), "found": list(map(asdict, work.found))})
            await asyncio.sleep(_TOLD_EACH_S)

    try:
        formats = [SerialFormat.parse(text) for text in args.speeds]
        kind = Address.parse(args.port).kind
        plan = await asyncio.to_thread(plan_scan, [], formats, args.addresses, _WITHIN, kind)
        work = Scan(args.port, plan, fast=True, tell=step)
        async with lent(args.port, args.by):
            teller = asyncio.create_task(telling(work), name="scan.telling")
            try:
                async with asyncio.timeout(LEASE_S):
                    await work.run()
            except TimeoutError:
                work.notes.append(f"stopped after {LEASE_S / 60:.0f} min; scan fewer addresses at a time")
            finally:
                teller.cancel()
                await asyncio.wait((teller,))
    except (BusError, ValueError) as error:
        raise RefusedError(str(error)) from None
    return {"found": list(map(asdict, work.found)), "notes": work.notes, "complete": work.complete}


async def scan_air(args: ScanAirArgs) -> Mapping[str, Any]:
    """Listen to an adapter, in a process of its own: an agent without BLE loads nothing for it.

    Raises:
        RefusedError: the adapter cannot be used.
    """
    words = ("scan", "ble", "--json", "--adapter", args.adapter, "--for", f"{args.seconds}s")
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edge_agent", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | {"NO_COLOR": "1"},
        )
    except OSError as error:  # no memory for it, or the version that runs was removed
        raise RefusedError(
            f"{args.adapter}: the scan cannot be started ({error.strerror}); restart the agent"
        ) from None
    try:
        async with asyncio.timeout(args.seconds + _LATE_S):
            out, _ = await process.communicate()
        answer = dict(orjson.loads(out))
    except TimeoutError:
        raise RefusedError(f"{args.adapter}: the scan did not end; see `edge-agent doctor`") from None
    except ValueError:
        raise RefusedError(f"{args.adapter}: the scan failed; try `edge-agent scan ble`") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if "error" in answer:
        raise RefusedError(str(answer["error"]))
    return answer
