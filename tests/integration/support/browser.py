"""A real chromium for tests: see tests/browser/driver.mjs."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class Browser:
    def __init__(self):
        env = dict(os.environ, BROWSER_MODULES=str(ROOT / "build" / "browser"))
        self.process = subprocess.Popen(
            ["node", ROOT / "tests" / "browser" / "driver.mjs"], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, code, **args):
        """The value of a piece of JavaScript with `page` (playwright's) in scope."""
        self.process.stdin.write(json.dumps({"code": code, "args": args}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the browser's driver has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer.get("value")

    def new_page(self):
        self.run("new page")

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
