import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { CleanUp } from "./temp-folder.ts";

/** Names under which systems have it. */
const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];
/** As root it runs without a sandbox, as in most containers; the rest keeps it from calling anybody but the page's host. */
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** Machines that run this are loaded; only what never comes takes as long. */
const ACTION_TIMEOUT_MS = 45_000;

/** The machine's own Chromium; undefined where there is none. */
export async function findChromium(): Promise<string | undefined> {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const paths = PROGRAMS.flatMap((program) => folders.map((folder) => join(folder, program)));
  const found = await Promise.all(
    paths.map((path) =>
      access(path, constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return paths[found.indexOf(true)];
}

/** Starts Chromium; ended with the test. */
export async function openBrowser(cleanUp: CleanUp, executablePath: string): Promise<Browser> {
  const browser = await chromium.launch({ executablePath, args: ARGUMENTS, timeout: ACTION_TIMEOUT_MS });
  cleanUp.after(() => browser.close());
  return browser;
}

/** One person's browser: its own cookies and storage, and all that its pages complained of. */
export interface Visitor {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of scripts, refusals by the page's policy, dialogs that opened, requests to other hosts. Answers of the API other than 2xx are none. */
  readonly complaints: readonly string[];
}

/** Opens an empty page for `baseURL`. */
export async function openVisitor(
  browser: Browser,
  baseURL: string,
  options: BrowserContextOptions = {},
): Promise<Visitor> {
  const context = await browser.newContext({ baseURL, acceptDownloads: true, timezoneId: "Europe/Paris", ...options });
  context.setDefaultTimeout(ACTION_TIMEOUT_MS);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`script: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      complaints.push(`console: ${message.text()}`);
  });
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (/^https?:$/.test(protocol) && origin !== baseURL) complaints.push(`another host: ${request.url()}`);
  });
  return { page, context, complaints };
}

/** What keeps people out of the page as it stands, by the rules of WCAG 2.2 AA and axe's best practices; by `rules` alone when they are named. */
export async function findBarriers(page: Page, rules?: string[]): Promise<string[]> {
  // Our pages have no frames: what axe does for those costs a page of its own each time.
  const builder = new AxeBuilder({ page }).setLegacyMode(true);
  const { violations } = await (rules === undefined ? builder : builder.withRules(rules)).analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary ?? ""}`),
  );
}
