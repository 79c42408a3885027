#!/usr/bin/python3
"""Walks the pages in a real headless Chromium, as a person would.

    browse.py subscribe BASE EMAIL OUT           fills in and sends the form
    browse.py confirm URL OUT                    opens the link of the mail and presses the button
    browse.py manage URL DATE OUT                pauses until DATE, then ends the pause, then changes to a daily mail
    browse.py unsubscribe URL OUT                opens the link and presses the button
    browse.py look OUT URL...                    only looks: pages and files
    browse.py mails OUT FILE...                  pictures of mails' HTML, light and dark, 375 and 1280 px wide

Each page is checked with axe-core where tests/peers/node_modules has it (npm install --prefix tests/peers axe-core@4), in
light and dark and at the width of a phone, and pictured into the folder OUT. Any violation, any script on a page, and any
scrolling sideways is an error. Wants the Debian packages chromium, chromium-driver and python3-selenium.
"""

import os
import pathlib
import sys
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

AXE = pathlib.Path(__file__).parent / "node_modules/axe-core/axe.min.js"
WIDTHS = (375, 1280)


def open_browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
        "--user-data-dir=" + tempfile.mkdtemp(),
    ):
        options.add_argument(argument)
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def set_screen(driver, width, scheme):
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )


def picture(driver, out, name):
    import base64

    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    (out / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def check(driver, out, name, is_mail=False):
    faults = []
    for scheme in ("light", "dark"):
        for width in WIDTHS:
            set_screen(driver, width, scheme)
            where = f"{name}-{scheme}-{width}"
            picture(driver, out, where)
            wide = driver.execute_script("return document.documentElement.scrollWidth")
            if wide > width:
                faults.append(f"{where}: {wide} px wide")
            if not is_mail and driver.execute_script("return document.scripts.length"):
                faults.append(f"{where}: a script")
            if AXE.exists():
                driver.execute_script(AXE.read_text(encoding="utf-8"))
                found = driver.execute_async_script(
                    "const done = arguments[arguments.length - 1]; axe.run().then(r => done(r.violations));"
                )
                for violation in found:
                    nodes = "; ".join(node["html"][:200] for node in violation["nodes"][:3])
                    faults.append(f"{where}: {violation['id']}: {violation['help']}: {nodes}")
                # axe-core itself is a script now.
                driver.refresh()
    set_screen(driver, 1280, "light")
    if not AXE.exists():
        print("SKIPPED: axe-core is not in tests/peers/node_modules")
    for fault in faults:
        print(fault)
    if faults:
        sys.exit(1)


def press(driver, selector):
    button = driver.find_element(By.CSS_SELECTOR, selector)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    before = driver.find_element(By.TAG_NAME, "html")
    button.click()
    WebDriverWait(driver, 10).until(lambda driver: driver.find_element(By.TAG_NAME, "html") != before)


def heading(driver):
    return driver.find_element(By.TAG_NAME, "h1").text


def expect(found, wanted):
    if found != wanted:
        sys.exit(f"expected {wanted!r}, found {found!r}")


def subscribe(driver, base, email, out):
    driver.get(base + "/subscribe")
    check(driver, out, "subscribe")
    driver.find_element(By.NAME, "email").send_keys(email)
    Select(driver.find_element(By.NAME, "delivery")).select_by_value("immediate")
    press(driver, "main form button[type=submit]")
    expect(heading(driver), "Almost done")
    check_once(driver, out, "asked")


def check_once(driver, out, name):
    """A page that answers a form cannot be loaded again."""
    picture(driver, out, name)
    if driver.execute_script("return document.scripts.length"):
        sys.exit(f"{name}: a script")


def confirm(driver, url, out):
    driver.get(url)
    check(driver, out, "confirm")
    press(driver, "main form button[type=submit]")
    expect(heading(driver), "You are subscribed")
    check_once(driver, out, "confirmed")


def manage(driver, url, date, out):
    driver.get(url)
    check(driver, out, "preferences")
    driver.execute_script("arguments[0].value = arguments[1]", driver.find_element(By.NAME, "until"), date)
    press(driver, "button[value=pause]")
    expect("Paused until" in driver.page_source, True)
    press(driver, "button[value=resume]")
    expect("Paused until" in driver.page_source, False)
    driver.find_element(By.TAG_NAME, "summary").click()
    Select(driver.find_element(By.NAME, "delivery")).select_by_value("daily")
    press(driver, "button[value=change]")
    expect("daily digest" in driver.page_source, True)


def unsubscribe(driver, url, out):
    driver.get(url)
    check(driver, out, "unsubscribe")
    press(driver, "main form button[type=submit]")
    expect(heading(driver), "You are unsubscribed")


def main():
    action, rest = sys.argv[1], sys.argv[2:]
    driver = open_browser()
    try:
        if action == "subscribe":
            subscribe(driver, rest[0], rest[1], pathlib.Path(rest[2]))
        elif action == "confirm":
            confirm(driver, rest[0], pathlib.Path(rest[1]))
        elif action == "manage":
            manage(driver, rest[0], rest[1], pathlib.Path(rest[2]))
        elif action == "unsubscribe":
            unsubscribe(driver, rest[0], pathlib.Path(rest[1]))
        elif action == "look":
            for number, url in enumerate(rest[1:]):
                driver.get(url)
                check(driver, pathlib.Path(rest[0]), f"look{number}")
        elif action == "mails":
            for file in rest[1:]:
                driver.get(pathlib.Path(file).absolute().as_uri())
                check(driver, pathlib.Path(rest[0]), os.path.splitext(os.path.basename(file))[0], is_mail=True)
        else:
            sys.exit(f"no such action: {action}")
    finally:
        driver.quit()


main()
