"""A headless Chromium, driven by chromedriver over the WebDriver protocol (W3C) with what urllib can do."""

import base64
import contextlib
import json
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name of a reference
KEYS = {"Control": "\ue009", "Alt": "\ue00a", "Enter": "\ue007", "Escape": "\ue00c", "Up": "\ue013", "Down": "\ue015", "Left": "\ue012",
        "Right": "\ue014", "Tab": "\ue004", "Home": "\ue011", "End": "\ue010", "Space": " "}


class WebDriverError(Exception):
    pass


class Browser:
    """One browser with a profile of its own; `end` leaves nothing behind."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tarn-web-", dir="/tmp")
        self.session = None
        self.driver = subprocess.Popen(["chromedriver", "--port=0", "--allowed-origins=*"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder.name)
        try:
            self.base = f"http://127.0.0.1:{self.port_told()}"
            self.begin()
        except BaseException:
            self.end()
            raise

    def port_told(self):
        for line in self.driver.stdout:
            if match := re.search(r"started successfully on port (\d+)", line):
                return int(match.group(1))
        raise WebDriverError("chromedriver ended before it listened")

    def begin(self):
        downloads = Path(self.folder.name, "downloads")
        downloads.mkdir()
        self.downloads = downloads
        options = {"args": [*FLAGS, f"--user-data-dir={self.folder.name}/profile"],
                   "prefs": {"download.default_directory": str(downloads), "download.prompt_for_download": False}}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}}, at="")["sessionId"]

    def end(self):
        if self.session:
            with contextlib.suppress(Exception):
                self.call("DELETE", "")
        self.driver.terminate()
        self.driver.wait(20)
        self.driver.stdout.close()
        # The browser's last processes may still write into their profile.
        for _ in range(50):
            with contextlib.suppress(OSError):
                self.folder.cleanup()
                return
            time.sleep(0.1)

    def call(self, method, path, body=None, at=None):
        at = f"/session/{self.session}" if at is None else at
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + at + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]
            raise WebDriverError(f"{told['error']}: {told['message'].splitlines()[0]}") from None

    # ---- pages

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def url(self):
        return self.call("GET", "/url")

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def cdp(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look_like(self, width, height=900, scheme="light"):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path, whole=True):
        answer = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(answer["data"]))

    def log(self):
        """What the console said since the last time."""
        return [(entry["level"], entry["message"]) for entry in self.call("POST", "/se/log", {"type": "browser"})]

    # ---- elements, by CSS

    def find(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def text(self, css):
        return self.run("const e = document.querySelector(arguments[0]); return e === null ? null : e.innerText", css)

    def texts(self, css):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", css)

    def shown(self, css):
        return self.run("const e = document.querySelector(arguments[0]); return e !== null && e.checkVisibility()", css)

    def click(self, css):
        self.call("POST", f"/element/{self.find(css)}/click")

    def type(self, css, text, clear=True):
        element = self.find(css)
        if clear:
            self.call("POST", f"/element/{element}/clear")
        self.call("POST", f"/element/{element}/value", {"text": text})

    def press(self, *names):
        """Holds all but the last, and presses that."""
        keys = [KEYS.get(name, name) for name in names]
        actions = [{"type": "keyDown", "value": key} for key in keys] + [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def wait(self, what, seconds=60):
        """Until `what()` is true, which is returned."""
        end = time.monotonic() + seconds
        while True:
            if found := what():
                return found
            if time.monotonic() > end:
                raise WebDriverError(f"not within {seconds} s; the page shows: {self.text('body')[:1500]}")
            time.sleep(0.05)

    def wait_for(self, css, seconds=60):
        self.wait(lambda: self.shown(css), seconds)

    def wait_text(self, css, part, seconds=60):
        return self.wait(lambda: (text := self.text(css)) is not None and part in text and text, seconds)
