"""Operators change the configuration over real HTTP: forms, difference, apply, undo. Viewers may not."""

import asyncio
import html
import re
from pathlib import Path

from edge_agent.console import users
from tests.console.browser import Browser, Page
from tests.console.forms import confirmed, form, mark_of, said, sent
from tests.console.rig import PASSWORD, PATIENT, console, runs


async def test_a_device_is_added_edited_removed_and_all_of_it_undone(tmp_path: Path) -> None:
    own = tmp_path / "conf.d" / "50-console.toml"
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        assert "Modbus device, by register map" in said(await browser.get("/change/device"))
        page = await browser.get("/change/device?driver=modbus&settings.address=8")
        assert 'value="8"' in page.text
        assert "1 to 247, as set at the device" in said(page), "the driver's own words"
        assert "xy_md02" in page.text

        wrong = form(page, driver="modbus", id="second", bus="cabinet", settings__address="seven")
        answer = await browser.post("/change/device", wrong)
        assert answer.status == 422
        assert "is not a whole number" in said(answer)
        assert "is missing" in said(answer)
        assert 'value="seven"' in answer.text, "what was written stays"
        assert not own.exists()

        right = wrong | {"settings.address": "8", "settings.profile": "xy_md02", "name": "<b>2</b>"}
        answer = await browser.post("/change/device", right)
        assert answer.status == 200
        assert "+[device.second]" in said(answer)
        assert "&lt;b&gt;2" in answer.text
        assert "<b>2" not in answer.text
        assert not own.exists(), "it was only shown"
        answer = await confirmed(browser, "/change/device", answer, right)
        assert answer.at == "/change"
        assert "device second added" in said(answer)
        await runs(browser, "air", "second")

        page = await browser.get("/change/device/second")
        assert 'value="&lt;b&gt;2&lt;/b&gt;"' in page.text
        edited = form(page, bus="cabinet", settings__address="9", settings__profile="xy_md02", interval="1m")
        answer = await confirmed(
            browser, "/change/device/second", await browser.post("/change/device/second", edited), edited
        )
        assert "device second changed" in said(answer)
        assert "address = 9" in own.read_text()
        assert 'interval = "1m"' in own.read_text()
        assert "name" not in own.read_text(), "an empty field takes its key away"

        page = await browser.get("/change/history")
        assert said(page).count("applied") == 2
        assert "admin" in said(page)
        first = re.findall(r'name="number" value="(\d+)"', page.text)[-1]
        undoing = form(page, number=first)
        answer = await confirmed(
            browser, "/change/undo", await browser.post("/change/undo", undoing), undoing
        )
        assert answer.at == "/change"
        assert not own.exists()
        await runs(browser, "air")


async def test_a_second_operators_change_is_noticed(tmp_path: Path) -> None:
    users.set_password(tmp_path / "console.json", "bob", PASSWORD, "operator")
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        page = await browser.get("/change/device?driver=modbus")
        mine = form(
            page,
            driver="modbus",
            id="mine",
            bus="cabinet",
            settings__address="8",
            settings__profile="xy_md02",
        )
        shown = await browser.post("/change/device", mine)
        second = Browser(browser.base)
        await second.log_in(PASSWORD, "bob")
        page = await second.get("/change/device?driver=modbus")
        other = mine | {"id": "other", "settings.address": "9", "csrf": page.csrf}
        await confirmed(second, "/change/device", await second.post("/change/device", other), other)
        answer = await confirmed(browser, "/change/device", shown, mine)
        assert answer.status == 409
        assert "somebody else" in said(answer)
        await runs(browser, "air", "other")
        again = await browser.post("/change/device", mine | {"mark": mark_of(answer), "csrf": answer.csrf})
        assert again.status == 200
        assert "+[device.mine]" in said(again)
        await confirmed(browser, "/change/device", again, mine)
        await runs(browser, "air", "other", "mine")
        page = await browser.get("/change/history")
        assert "bob" in said(page)
        (first, *_) = re.findall(r'href="(/change/history/\d+)"', page.text)[::-1]
        page = await browser.get(first)
        assert "+[device.other]" in said(page)
        assert "device other added" in said(page)
        back = sent(page) | {"to": "after"}
        answer = await browser.post("/change/undo", back)
        assert "-[device.mine]" in said(answer)
        await confirmed(browser, "/change/undo", answer, {})
        await runs(browser, "air", "other")
        assert (await browser.get("/change/history/999")).status == 404
        assert (await browser.get("/change/history/x")).status == 404


async def test_a_form_of_what_another_operator_removed_is_kept_and_shows_the_way_back(tmp_path: Path) -> None:
    users.set_password(tmp_path / "console.json", "bob", PASSWORD, "operator")
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        await runs(browser, "air")
        page = await browser.get("/change/device/air")
        mine = sent(page) | {"name": "Hall <B>"}
        second = Browser(browser.base)
        await second.log_in(PASSWORD, "bob")
        removing = form(await second.get("/change"), table="device", id="air")
        await confirmed(second, "/change/remove", await second.post("/change/remove", removing), removing)
        await runs(browser)
        kept = await browser.post("/change/device/air", mine)
        assert kept.status == 409
        assert "air was removed by bob meanwhile; undo that first" in said(kept)
        assert sent(kept)["name"] == "Hall <B>"
        for path in ("/device/air", "/change/device/air", "/change/device/air/humidity"):
            lost = await browser.get(path)
            assert lost.status == 404
            assert "There is no device air bob removed it." in said(lost)
        (way,) = re.findall(r'href="(/change/history/\d+)"', lost.text)
        undoing = sent(await browser.get(way))
        undoing |= {"to": "before"}
        await confirmed(browser, "/change/undo", await browser.post("/change/undo", undoing), undoing)
        await runs(browser, "air")
        again = await browser.post("/change/device/air", sent(kept) | {"mark": mark_of(kept)})
        assert "Hall <B>" in said(again)
        other = await browser.get("/change/device/air/pressure")
        assert (other.status, "There is no channel pressure" in said(other)) == (404, True)
        assert "It may have another name by now" in said(await browser.get("/change/bus/attic"))


async def test_what_was_written_outlives_a_session_and_a_second_press(tmp_path: Path) -> None:
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        page = await browser.get("/change/device?driver=modbus")
        wanted = {"driver": "modbus", "id": "mine", "bus": "cabinet", "name": '"><script>x',
                  "settings.address": "8", "settings.profile": "xy_md02"}  # fmt: skip
        first = form(page) | wanted
        await browser.post("/logout", {"csrf": page.csrf})
        answer = await browser.post("/change/device", first | {"apply": "yes"})
        assert answer.status == 403
        assert "You are not logged in any more" in said(answer)
        assert "<script>x" not in answer.text
        kept = sent(answer)
        assert wanted.items() <= kept.items()
        assert "apply" not in kept
        foreign = await browser.post("/change/device", kept, Origin="http://evil.example")
        assert foreign.status == 403
        assert "mine" not in foreign.text

        await browser.log_in(PASSWORD)  # in another tab
        answer = await browser.post("/change/device", kept)
        assert answer.status == 403, "it is the person who says that it is to go on"
        assert wanted.items() <= sent(answer).items()
        answer = await browser.post("/change/device", sent(answer))
        assert answer.status == 200
        assert "+[device.mine]" in said(answer)

        answer = await browser.post("/change/device", sent(answer) | {"again": "yes"})
        assert answer.status == 200
        assert wanted.items() <= sent(answer).items(), "a browser's own way back has forgotten it"
        answer = await browser.post("/change/device", sent(answer))
        assert "+[device.mine]" in said(answer)

        own = tmp_path / "conf.d" / "50-console.toml"
        own.parent.mkdir(exist_ok=True)
        own.write_text("[device.x\n")  # by hand, with a mistake
        answer = await browser.post("/change/device", sent(answer))
        assert answer.status == 409
        assert "50-console.toml:1" in said(answer)
        own.unlink()
        answer = await browser.post("/change/device", sent(answer))
        assert "+[device.mine]" in said(answer)

        pressed = sent(answer) | {"apply": "yes"}
        for _ in range(2):
            answer = await browser.post("/change/device", pressed)
            assert answer.at == "/change"
            assert "device mine added" in said(answer)
        gone = {"csrf": answer.csrf, "mark": mark_of(answer), "table": "device", "id": "mine"}
        pressed = sent(await browser.post("/change/remove", gone)) | {"apply": "yes"}
        for _ in range(2):
            answer = await browser.post("/change/remove", pressed)
            assert "device mine removed" in said(answer)
        assert len(re.findall(r'href="/change/history/', (await browser.get("/change/history")).text)) == 2


async def test_calibration_limits_and_alarms_of_a_channel(tmp_path: Path) -> None:
    own = tmp_path / "conf.d" / "50-console.toml"
    async with console(tmp_path) as browser:
        await browser.log_in(PASSWORD)
        page = await browser.get("/change/device?driver=modbus")
        bus = form(
            page,
            driver="modbus",
            id="far",
            bus="+",
            bus__id="far-bus",
            bus__port="/dev/no-such-port",
            settings__address="8",
            settings__profile="xy_md02",
        )
        await confirmed(browser, "/change/device", await browser.post("/change/device", bus), bus)
        assert "[bus.far-bus]" in own.read_text()
        path = "/change/device/far/temperature"
        page = await browser.get(path)
        fields = form(
            page,
            calibrate__scale="1.5",
            calibrate__offset="-2",
            plausible__1="60",
            alarm_id="too-warm",
            alarm__new__above="30",
            alarm__new__delay="soon",
        )
        answer = await browser.post(path, fields)
        assert answer.status == 422
        assert "is not a duration" in said(answer)
        fields["alarm.new.delay"] = "5m"
        await confirmed(browser, path, await browser.post(path, fields), fields)
        text = own.read_text()
        assert "calibrate = {scale = 1.5, offset = -2}" in text
        assert "plausible = [-inf, 60]" in text
        assert 'too-warm = {above = 30, delay = "5m"}' in text
        page = await browser.get(path)
        assert 'name="plausible.0" value=""' in page.text
        assert 'name="alarm.too-warm.above" value="30"' in page.text


async def test_a_viewer_looks_and_changes_nothing(tmp_path: Path) -> None:
    users.set_password(tmp_path / "console.json", "eve", PASSWORD, "viewer")
    async with console(tmp_path) as browser:
        page = await browser.log_in(PASSWORD, "eve")
        looked = await browser.get("/change")
        assert looked.status == 200
        assert "Remove" not in said(looked)
        for path in (
            "/change/device",
            "/change/device/air",
            "/change/device/air/temperature",
        ):
            assert (await browser.get(path)).status == 403
        for path in (
            *("/change/device", "/change/device/air", "/change/device/air/temperature", "/change/remove"),
            "/change/undo",
            "/change/scan",
            "/change/scan/stop",
        ):
            fields = {"csrf": page.csrf, "mark": "", "apply": "yes", "number": "1", "driver": "modbus"}
            assert (await browser.post(path, fields)).status == 403
        assert not (tmp_path / "conf.d").exists()


async def test_a_device_that_a_scan_found_fills_the_form(tmp_path: Path) -> None:
    async with console(tmp_path, before=PATIENT) as browser:
        page = await browser.log_in(PASSWORD)
        csrf = {"csrf": page.csrf}
        scan = {**csrf, "kind": "serial", "port": str(tmp_path / "near"), "speeds": "9600 8N1"}
        assert (await browser.post("/change/scan", {**scan, "first": "9", "last": "2"})).status == 422
        begun = await browser.post("/change/scan", {**scan, "first": "7", "last": "7"})
        assert begun.at == "/change/scan"
        assert "data-running" in begun.text
        page = await ended(browser)
        assert "1 device found" in said(page)
        assert "temperature 30.5" in said(page)
        assert "It is there already: air" in said(page)
        assert "/change/device?" not in page.text
        removing = form(await browser.get("/change"), table="device", id="air")
        await confirmed(browser, "/change/remove", await browser.post("/change/remove", removing), removing)
        await runs(browser)
        await browser.post("/change/scan", {**scan, "first": "7", "last": "7"})
        page = await ended(browser)
        links = [html.unescape(link) for link in re.findall(r'href="(/change/device\?[^"]+)"', page.text)]
        (link,) = [link for link in links if "profile=xy_md02&" in link]
        filled = await browser.get(link)
        assert re.search(r'<option value="cabinet" selected>', filled.text), "the bus that has this port"
        assert re.search(r'<option value="xy_md02" selected>', filled.text)
        assert 'name="settings.address" value="7"' in filled.text
        removing = form(await browser.get("/change"), table="device", id="air")
        await confirmed(browser, "/change/restore", await browser.post("/change/restore", removing), removing)
        await runs(browser, "air")
        async with asyncio.timeout(60):  # the bus is given back
            while (await browser.get("/api/status")).json["devices"][0]["problem"]:  # noqa: ASYNC110 - another process does
                await asyncio.sleep(0.2)

        await browser.post("/change/scan", {**scan, "first": "1", "last": "247"})
        assert (await browser.post("/change/scan/stop", csrf)).at == "/change/scan"
        assert "data-running" not in (await browser.get("/change/scan")).text
        await browser.post("/change/scan", {**scan, "port": "/dev/no-such-port", "first": "1", "last": "2"})
        page = await ended(browser)
        assert "/dev/no-such-port" in said(page)
        assert 'role="alert"' in page.text


async def ended(browser: Browser) -> Page:
    """Wait until no scan runs any more."""
    async with asyncio.timeout(60):
        while True:
            page = await browser.get("/change/scan")
            if "data-running" not in page.text:
                return page
            await asyncio.sleep(0.3)
