"""The pages as a person sees them, in Debian's Chromium without a window."""
import functools
import http.server
import pathlib
import threading
import time

import pytest

from support.processes import IN_CI, eventually, intent, write_bot

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"


@pytest.fixture(scope="session")
def chromium():
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        webdriver = None
    if webdriver is None or not all(pathlib.Path(program).exists() for program in (CHROMIUM, DRIVER)):
        if IN_CI:
            pytest.fail("no Chromium with Selenium on this machine")
        pytest.skip("no Chromium with Selenium on this machine: the pages are not tested")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """A browser without cookies, whose console has no errors at the end of the test."""
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    chromium.get_log("browser")
    yield chromium
    errors = [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE" and "favicon" not in entry["message"]]
    assert errors == []


def find(browser, selector):
    from selenium.webdriver.common.by import By
    return browser.find_elements(By.CSS_SELECTOR, selector)


def text_of(browser):
    return browser.execute_script("return document.body.innerText")


@pytest.fixture
def shop(folder):
    """A web site of somebody's, on an origin of its own; gives a function that makes a page and its address."""
    site = folder / "site"
    site.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def page(html):
        (site / "index.html").write_text(f"<!doctype html><title>Shop</title><body><h1>Shop</h1>{html}</body>")
        return f"http://127.0.0.1:{server.server_address[1]}/index.html"

    yield page
    server.shutdown()
    server.server_close()


def bubbles(browser, kind="bot"):
    return [bubble.get_attribute("textContent") for bubble in find(browser, f".iky-message.{kind}")]


@pytest.mark.parametrize("url_from", ["variable", "script"])
def test_widget_on_another_site(browser, shop, start, folder, url_from):
    process = start(database=f"sqlite:///{folder}/loquat.db")
    bot = write_bot(folder / "bot.json", intent("init_conversation", "Ahoy {{ context.username }}", "Welcome message"),
                    intent("order", "<b>Two</b> lines###<img src=x onerror=alert(1)> & done", phrases=["i want pizza"]))
    assert process.run("import", bot).returncode == 0
    assert eventually(lambda: "Ahoy" in process.post("/bots/channels/rest/webhook", {"thread_id": str(time.time_ns()), "text": "/init_conversation", "context": {}}).text)
    variable = f'var iky_base_url = "{process.url}/"; ' if url_from == "variable" else ""
    browser.get(shop(f'<script>{variable}var chat_context = {{"username": "Ada"}};</script><script src="{process.url}/static/widget/script.js"></script>'))
    [button] = find(browser, ".iky-chat-button")
    [window] = find(browser, ".iky-chat-window")
    assert not window.is_displayed()
    button.click()
    assert window.is_displayed() and button.get_attribute("aria-expanded") == "true"
    assert eventually(lambda: bubbles(browser) == ["Ahoy Ada"], 5), (bubbles(browser), bubbles(browser, "note"), browser.get_log("browser"))
    [field] = find(browser, ".iky-input-field")
    assert browser.switch_to.active_element == field, "one can type at once"
    field.send_keys("I want  Pizza!\n")
    assert eventually(lambda: bubbles(browser) == ["Ahoy Ada", "<b>Two</b> lines", "<img src=x onerror=alert(1)> & done"]), bubbles(browser)
    assert bubbles(browser, "user") == ["I want  Pizza!"] and not find(browser, ".iky-message b, .iky-message img")
    field.send_keys("   \n")
    button.click()
    assert not window.is_displayed() and len(bubbles(browser, "user")) == 1, "blanks are no message"
    # What went wrong is told, and the next message gets through.
    button.click()
    process.stop()
    field.send_keys("anyone?\n")
    assert eventually(lambda: bubbles(browser, "note") != [])
    process.start()
    field.send_keys("i want pizza\n")
    assert eventually(lambda: len(bubbles(browser)) == 5)
    refused = [entry for entry in browser.get_log("browser") if "ERR_CONNECTION_REFUSED" in entry["message"]]
    assert len(refused) == 1


def test_two_pages_are_two_conversations(browser, shop, start):
    process = start(env={"ADMIN_TOKEN": "letmein"})
    address = shop(f'<script src="{process.url}/static/widget/script.js"></script>')
    for _ in range(2):
        browser.get(address)
        assert eventually(lambda: len(bubbles(browser)) == 1)
    threads = process.get("/admin/chatlogs/", {"Authorization": "Bearer letmein"}).json()
    assert threads["total"] == 2


def test_login(browser, start):
    process = start(env={"ADMIN_TOKEN": "letmein"})
    browser.get(f"{process.url}/login?next=/docs")
    [field] = find(browser, "#token")
    assert field.get_attribute("type") == "password" and browser.switch_to.active_element == field
    field.send_keys("wrong\n")
    assert eventually(lambda: "not an admin token" in text_of(browser))
    assert browser.get_cookies() == []
    browser.get_log("browser")  # the browser notes the 401
    find(browser, "#token")[0].send_keys(" letmein \n")
    assert eventually(lambda: browser.current_url == f"{process.url}/docs"), browser.current_url
    [cookie] = browser.get_cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and "letmein" not in cookie["value"]
    status = 'const done = arguments[1]; fetch(arguments[0]).then((answer) => done(answer.status));'
    assert browser.execute_async_script(status, "/admin/intents/") == 200
    made = """const done = arguments[0];
        fetch("/admin/entities", {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"name": "by cookie", "entity_values": []}'})
          .then(async (answer) => done([answer.status, (await answer.json()).name]));"""
    assert browser.execute_async_script(made) == [200, "by cookie"]
    assert browser.execute_async_script("const done = arguments[0]; fetch('/logout', {method: 'POST'}).then((answer) => done(answer.status));") == 204
    assert browser.get_cookies() == []
    assert browser.execute_async_script(status, "/admin/intents/") == 401
    browser.get_log("browser")


def test_another_site_has_no_use_of_the_cookie(browser, shop, start):
    # On a loopback HOST other pages of this machine are a developer's own; elsewhere they are anybody's.
    process = start(env={"ADMIN_TOKEN": "letmein", "HOST": "0.0.0.0"})
    browser.get(f"{process.url}/login")
    find(browser, "#token")[0].send_keys("letmein\n")
    assert eventually(lambda: browser.get_cookies() != [])
    browser.get(shop(""))
    steal = "const done = arguments[1]; fetch(arguments[0], {credentials: 'include'}).then((answer) => done(answer.status), () => done('refused'));"
    assert browser.execute_async_script(steal, f"{process.url}/admin/intents/") in ("refused", 401, 403)
    write = """const done = arguments[1];
        fetch(arguments[0], {method: "POST", mode: "no-cors", credentials: "include", headers: {"Content-Type": "text/plain"}, body: '{"name": "stolen"}'}).then(() => done(), () => done());"""
    browser.execute_async_script(write, f"{process.url}/admin/entities")
    names = [entity["name"] for entity in process.get("/admin/entities", {"Authorization": "Bearer letmein"}).json()]
    assert "stolen" not in names
    browser.get_log("browser")


def test_a_download_linked_from_another_port_of_this_machine(browser, shop, start):
    """The old admin front end exports a bot by sending the browser to the file: a request without an Origin."""
    process = start()
    browser.get(shop(f"""<button onclick="location.href = '{process.url}/admin/bots/default/export'">Export</button>"""))
    find(browser, "button")[0].click()
    assert eventually(lambda: [entry["status"] for entry in process.logs() if entry.get("path") == "/admin/bots/default/export"]) == [200]


def test_documentation(browser, start):
    process = start()
    browser.get(f"{process.url}/docs")
    paths = process.get("/openapi.json").json()["paths"]
    shown = text_of(browser)
    assert eventually(lambda: all(path in text_of(browser) for path in paths)), [path for path in paths if path not in shown]
    # A request can be tried.
    headings = {heading.text: heading for heading in find(browser, "details.op > summary")}
    [operation] = [heading for words, heading in headings.items() if words.split()[:2] == ["GET", "/health"]]
    operation.click()
    [button] = eventually(lambda: find(browser, "details.op[open] button"))
    button.click()
    assert eventually(lambda: "200" in (shown := find(browser, "details.op[open] pre")[0].text) and '"status"' in shown), operation.text
    # Nothing comes from elsewhere.
    hosts = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => new URL(entry.name).host)")
    assert set(hosts) <= {process.url.removeprefix("http://")}


def test_the_pages_fit_a_telephone(browser, start, shop):
    process = start(env={"ADMIN_TOKEN": "letmein"})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 640, "deviceScaleFactor": 1, "mobile": True})
    try:
        for address in (f"{process.url}/login", f"{process.url}/docs"):
            browser.get(address)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 360, address
        browser.get(shop(f'<meta name="viewport" content="width=device-width"><script src="{process.url}/static/widget/script.js"></script>'))
        find(browser, ".iky-chat-button")[0].click()
        box = find(browser, ".iky-chat-window")[0].rect
        assert box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= 360 and box["y"] + box["height"] <= 640, box
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
