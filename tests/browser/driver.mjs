// Drives Debian's chromium by playwright-core for tests/integration/test_browser.py. Each
// line of standard input is {"code": "…"}: the body of an async function of `page`,
// `browser` and `args`; each line of standard output its {"value": …} or {"error": "…"}.
// Only loopback is reached; what the page itself complains of is in `page.complaints`.
import { createInterface } from "node:readline";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(join(process.env.BROWSER_MODULES, "index.js"));
const { chromium } = require("playwright-core");

const profile = mkdtempSync(join(tmpdir(), "interactd-browser."));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  viewport: { width: 900, height: 700 },
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
  ],
});

function watch(page) {
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (m) => {
    if (m.type() === "error") page.complaints.push(m.text());
  });
  page.setDefaultTimeout(20000);
  return page;
}

const AsyncFunction = (async () => {}).constructor;
let page = watch(await context.newPage());
for await (const line of createInterface({ input: process.stdin })) {
  const { code, args } = JSON.parse(line);
  let answer;
  try {
    if (code === "new page") {
      await page.close();
      page = watch(await context.newPage());
    } else {
      answer = { value: await new AsyncFunction("page", "browser", "args", code)(page, context, args) };
    }
  } catch (error) {
    answer = { error: String(error.stack || error) };
  }
  process.stdout.write(JSON.stringify(answer ?? {}) + "\n");
}
await context.close();
rmSync(profile, { recursive: true, force: true });
