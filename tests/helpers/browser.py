"""A real Chromium without a screen, driven through its DevTools protocol over two pipes."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PATIENCE = 60  # seconds for anything


class Browser:
    """One page in a Chromium of its own; a context manager. downloads : where files go."""

    def __init__(self, folder: Path):
        assert CHROMIUM
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        def fixed_numbers() -> None:  # Chromium reads from 3 and writes to 4
            ends = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        command = [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking", "--hide-scrollbars",
            "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=fixed_numbers,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._read, self.events = 0, b"", []
        targets = self._call("Target.getTargets", session=None)["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self._call("Target.attachToTarget", session=None, targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self._call(
            "Browser.setDownloadBehavior",
            session=None,
            behavior="allow",
            downloadPath=str(self.downloads),
        )

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._in)
        os.close(self._out)

    def _call(self, method: str, session: str | None = "", **parameters: Any) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict:
        while b"\0" not in self._read:
            part = os.read(self._in, 1 << 20)
            assert part, "Chromium ended"
            self._read += part
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)

    def open(self, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file in a window of this size."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self.run("window.old = true")
        self._call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for("!window.old && document.readyState == 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        found = self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, condition: str) -> None:
        end = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of an element, as a person does."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def choose(self, selector: str, text: str) -> None:
        """Choose the option of a select by its text."""
        self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            f" e.value = [...e.options].find((o) => o.text == {json.dumps(text)}).value;"
            " for (const kind of ['input', 'change'])"
            " e.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )

    def downloaded(self, name: str) -> Path:
        """The file, once it is there."""
        end = time.monotonic() + PATIENCE
        while not (self.downloads / name).exists():
            assert time.monotonic() < end, f"{name} did not come"
            time.sleep(0.05)
        return self.downloads / name

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """What the console says went wrong, and every address that was asked for but files."""
        found = []
        for event in self.events:
            words = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(words["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and words["entry"]["level"] == "error":
                found.append(words["entry"]["text"])
            elif event["method"] == "Network.requestWillBeSent":
                url = words["request"]["url"]
                found += [] if url.startswith(("file:", "blob:", "data:")) else [url]
        return found


# Elements that lie over a brother, and those that are wider than what holds them. The bar sticks to
# the window, and what scrolls by itself may be wider.
OVERLAPS = """(() => {
  const seen = (e) => e.getClientRects().length && getComputedStyle(e).position != 'sticky';
  const name = (e) => e.tagName + (e.id && '#' + e.id) + (e.className && '.' + e.className);
  const found = [];
  for (const parent of document.querySelectorAll('body, body *:not(svg, svg *, table *)')) {
    if (parent.closest('svg, select, option')) continue;
    const children = [...parent.children].filter(seen);
    const boxes = children.map((e) => e.getBoundingClientRect());
    for (let i = 0; i < boxes.length; i++) {
      for (let j = 0; j < i; j++) {
        const [a, b] = [boxes[i], boxes[j]];
        if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
            Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
          found.push(name(children[j]) + ' and ' + name(children[i]) + ' in ' + name(parent));
      }
    }
    if (parent.scrollWidth > parent.clientWidth + 1 && parent.clientWidth &&
        !parent.matches('.scroll, .scroll *, input, select, button'))
      found.push(name(parent) + ' is too narrow');
  }
  const texts = [...document.querySelectorAll('svg')].flatMap((s) => {
    const boxes = [...s.querySelectorAll('text')].map((t) => [t.textContent, t.getBBox()]);
    return boxes.flatMap(([t, a], i) => boxes.slice(0, i).filter(([, b]) =>
      a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height)
      .map(([u]) => t + ' over ' + u));
  });
  if (document.documentElement.scrollWidth > innerWidth) found.push('the page is too wide');
  return [...found, ...texts];
})()"""
