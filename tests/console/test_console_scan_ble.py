"""A sensor that broadcasts is found from the page, and fills the form of a new device."""

import asyncio
import re
from html import unescape
from pathlib import Path

from edge_agent.demo import on_air
from edge_agent.demo.bluez.air import Peripheral
from edge_agent.demo.bluez.daemon import FakeBlueZ
from tests.console.rig import PASSWORD, console


async def test_what_is_heard_fills_the_form(bluez: FakeBlueZ, tmp_path: Path) -> None:
    (sensor,) = [one for one in on_air.sensors(bytes(16)) if one.id == "air-1"]
    device = bluez.world.add_peripheral(Peripheral(sensor.address))

    async def talk() -> None:
        for number in range(600):
            services, makers = sensor.says(number, number * 10.0)
            bluez.world.advertise(device, services=services, makers=makers)
            await asyncio.sleep(0.1)

    talking = asyncio.create_task(talk())
    try:
        async with console(tmp_path) as browser:
            page = await browser.log_in(PASSWORD)
            scan = {"csrf": page.csrf, "kind": "ble", "adapter": "hci0", "seconds": "4"}
            page = await browser.post("/change/scan", scan)
            async with asyncio.timeout(60):
                while "data-running" in page.text:
                    await asyncio.sleep(0.3)
                    page = await browser.get("/change/scan")
            assert sensor.address in page.text
            (link,) = re.findall(r'href="(/change/device\?driver=bthome[^"]+)"', page.text)
            form = (await browser.get(unescape(link))).text
            assert f'name="settings.address" value="{sensor.address}"' in form
            assert 'name="bus.ble" value="hci0"' in form
            assert '<option value="+" selected>' in form
            page = await browser.post("/change/scan", scan | {"adapter": "/dev/null"})
            page = await browser.get("/change/scan")
            assert 'role="alert"' in page.text
    finally:
        talking.cancel()
