"""What an installer wrote is edited, left out and had back; what is changed by hand is never lost unseen."""

import asyncio
import json
import tomllib
from pathlib import Path

from tests.console.forms import confirmed, form, mark_of, said, sent
from tests.console.rig import PASSWORD, console, runs


async def test_the_installers_device_is_edited_removed_and_as_it_was(tmp_path: Path) -> None:
    file, own = tmp_path / "agent.toml", tmp_path / "conf.d" / "50-console.toml"
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        before = file.read_text()
        page = await browser.get("/change/device/air")
        assert f"An installer wrote this in {file}:7" in said(page)
        edited = sent(page) | {"name": "Pump room", "labels": 'tenant = "b"'}
        answer = await browser.post("/change/device/air", edited)
        assert f"holds in place of {file}:7" in said(answer)
        assert "+name = " in said(answer)
        assert "+driver" not in said(answer), "only what differs is shown"
        answer = await confirmed(browser, "/change/device/air", answer, {})
        assert "device air changed" in said(answer)
        (noted,) = [
            line
            for line in (tmp_path / "console.audit").read_text().splitlines()
            if "/change/device/air" in line
        ]
        assert json.loads(noted)["who"] == "admin"
        assert tomllib.loads(own.read_text())["device"]["air"]["labels"] == {"tenant": "b"}
        assert file.read_text() == before
        async with asyncio.timeout(60):
            while (await browser.get("/api/status")).json["devices"][0]["name"] != "Pump room":  # noqa: ASYNC110 - another process tells it
                await asyncio.sleep(0.2)

        page = await browser.get("/change")
        removing = form(page, table="device", id="air")
        answer = await confirmed(
            browser, "/change/remove", await browser.post("/change/remove", removing), removing
        )
        assert "device air removed" in said(answer)
        await runs(browser)
        page = await browser.get("/change")
        assert "Left out here, though an installer wrote it" in said(page)
        removing = form(page, table="device", id="air")
        answer = await browser.post("/change/restore", removing)
        assert "device air is the installer's again" in said(answer)
        await confirmed(browser, "/change/restore", answer, removing)
        await runs(browser, "air")
        assert not own.exists() or not own.read_text()
        assert (await browser.post("/change/restore", removing | {"id": "none"})).status == 404
        assert (await browser.post("/change/remove", removing | {"id": "none"})).status == 404


async def test_a_change_by_hand_is_noticed_not_overwritten(tmp_path: Path) -> None:
    file, own = tmp_path / "agent.toml", tmp_path / "conf.d" / "50-console.toml"
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        mine = sent(await browser.get("/change/device/air")) | {"name": "mine"}
        file.write_text(file.read_text().replace('"hall-b"', '"by hand"'))
        answer = await browser.post("/change/device/air", mine)
        assert answer.status == 409
        assert "changed by hand" in said(answer)
        assert not own.exists()
        again = sent(answer)
        answer = await browser.post("/change/device/air", again)
        assert '-place = "by hand"' in said(answer), "what would go is seen"
        await confirmed(browser, "/change/device/air", answer, {})
        assert "mine" in own.read_text()

        file.write_text(file.read_text().replace('"by hand"', '"once more"'))
        page = await browser.get("/change")
        assert "changed by hand" in said(page)
        assert "Add a device" not in said(page)
        taken_back = form(page, table="device", id="air")
        answer = await browser.post("/change/restore", taken_back)
        await confirmed(browser, "/change/restore", answer, taken_back)
        await runs(browser, "air")
        page = await browser.get("/change/device/air")
        assert 'value="once more"' in page.text


async def test_a_broken_file_of_an_installer_is_explained(tmp_path: Path) -> None:
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        form_open = await browser.get("/change/device?driver=modbus")
        broken = tmp_path / "conf.d" / "60-mine.toml"
        broken.parent.mkdir()
        broken.write_text("[device.x]\ndriver = modbus\n")
        page = await browser.get("/change")
        assert "60-mine.toml:2" in said(page)
        assert "is not TOML" in said(page)
        answer = await browser.post(
            "/change/device",
            form(form_open, driver="modbus", id="y", bus="cabinet", settings__address="8"),
        )
        assert answer.status == 409
        assert "60-mine.toml:2" in said(answer)
        assert sent(answer)["settings.address"] == "8", "what was written is kept"
        broken.write_text('[device.air]\ndriver = "modbus"\nbus = "cabinet"\n')
        assert "stands in" in said(await browser.get("/change"))


async def test_a_bus_is_edited_and_says_who_begins_anew(tmp_path: Path) -> None:
    own = tmp_path / "conf.d" / "50-console.toml"
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        page = await browser.get("/change/bus/cabinet")
        assert "On it are air." in said(page)
        wrong = sent(page) | {"serial": "9600 8X1", "gap": "soon"}
        answer = await browser.post("/change/bus/cabinet", wrong)
        assert answer.status == 422
        assert answer.text.count('aria-invalid="true"') == 2
        assert answer.text.count("autofocus") == 1
        assert 'value="9600 8X1"' in answer.text
        right = wrong | {"serial": "9600 8N1", "gap": "50ms"}
        answer = await browser.post("/change/bus/cabinet", right)
        assert "These begin anew with it, and are not heard for a moment: air." in said(answer)
        await confirmed(browser, "/change/bus/cabinet", answer, {})
        assert tomllib.loads(own.read_text())["bus"]["cabinet"]["gap"] == "50ms"
        answer = await browser.post(
            "/change/remove", form(await browser.get("/change"), table="bus", id="cabinet")
        )
        assert answer.status == 422
        assert "there is no bus" in said(answer)

        new = sent(await browser.get("/change/bus")) | {"id": "Roof 2", "port": "dev/ttyS9"}
        answer = await browser.post("/change/bus", new)
        assert "is not an id" in said(answer)
        assert "begin it with /" in said(answer)
        taken = await browser.post("/change/bus", new | {"id": "cabinet", "port": "/dev/ttyS9"})
        assert "another one has this id" in said(taken)
        new |= {"id": "roof-2", "port": "/dev/ttyS9"}
        await confirmed(browser, "/change/bus", await browser.post("/change/bus", new), {})
        assert tomllib.loads(own.read_text())["bus"]["roof-2"] == {"port": "/dev/ttyS9"}


async def test_a_taken_id_is_told(tmp_path: Path) -> None:
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        page = await browser.get("/change/device?driver=modbus")
        again = form(
            page, driver="modbus", id="air", bus="cabinet", settings__address="8", settings__profile="xy_md02"
        )
        for how in ({}, {"apply": "yes"}):
            assert "another one has this id" in said(await browser.post("/change/device", again | how))
        again |= {"id": "fresh", "bus": "+", "bus.id": "cabinet", "bus.port": "/dev/ttyS9"}
        for how in ({}, {"apply": "yes"}):
            assert "another one has this id" in said(await browser.post("/change/device", again | how))
        assert not (tmp_path / "conf.d").exists()


async def test_a_secret_in_clear_is_not_shown(tmp_path: Path) -> None:
    key = "00112233445566778899aabbccddeeff"
    tag = f"""[bus.radio]
ble = "hci0"
[device.tag]
driver = "bthome"
bus = "radio"
settings = {{ address = "A4:C1:38:00:11:22", bindkey = "{key}" }}
"""
    async with console(tmp_path, more=tag) as browser:
        await browser.log_in(PASSWORD)
        page = await browser.get("/change/device/tag")
        assert "stands in clear" in said(page)
        mark = mark_of(await browser.get("/change"))
        removing = {"csrf": page.csrf, "mark": mark, "table": "device", "id": "tag"}
        answer = await browser.post("/change/remove", removing)
        assert "device tag removed" in said(answer)
        for shown in (page, answer, await browser.get("/change")):
            assert key not in shown.text
