import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import { TidemarkError } from "../core/errors.ts";
import type { FaceEnv, Router } from "./context.ts";
import type { DashboardFile } from "./dashboard-files.ts";

/** Addresses of the dashboard's pages. All are one document, which draws what its address says. */
const PAGES = [
  "/",
  "/login",
  "/apps",
  "/apps/*",
  "/account",
  "/account/*",
  "/platform",
  "/platform/*",
  "/invitations/*",
];
const FILES = ["/assets/:name", "/favicon.svg"];

/** Everything comes from the platform itself, and no script or style stands in the document or is made from text. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const IMMUTABLE = "public, max-age=31536000, immutable";

/** Adds the dashboard's pages and files. They are no part of the API's document. */
export function registerDashboard(router: Router): void {
  for (const path of PAGES) router.get(path, (c) => sendFile(c, "index.html"));
  for (const path of FILES) router.get(path, (c) => sendFile(c, c.req.path.slice(1)));
}

/**
 * Gives the dashboard its own policy instead of the API's, which forbids everything. Stands before the middleware that sets that one. "Not modified"
 * needs it too: a browser takes the policy of that answer for the document that it has.
 */
export const allowDashboard = createMiddleware<FaceEnv>(async (c, next) => {
  await next();
  if (DASHBOARD_STATUSES.has(c.res.status) && isOfDashboard(c.req.path))
    c.res.headers.set("Content-Security-Policy", PAGE_POLICY);
});

const DASHBOARD_STATUSES = new Set([200, 304]);

function isOfDashboard(path: string): boolean {
  return PAGES.some((page) => (page.endsWith("/*") ? path.startsWith(page.slice(0, -1)) : path === page));
}

function sendFile(c: Context<FaceEnv>, name: string): Response {
  const { dashboard } = c.var.face;
  const file = dashboard.get(name);
  if (file === undefined)
    throw dashboard.size > 0
      ? new TidemarkError("not_found", "There is nothing at this address")
      : new TidemarkError("not_found", "The dashboard was not built", {
          hint: "Start the platform with npm start, which builds it, or run node dashboard/scripts/build.ts",
        });
  return answerFile(c, file);
}

function answerFile(c: Context<FaceEnv>, file: DashboardFile): Response {
  c.header("ETag", file.etag);
  c.header("Vary", "Accept-Encoding");
  c.header("Cache-Control", file.isImmutable ? IMMUTABLE : "no-cache");
  if (c.req.header("If-None-Match") === file.etag) return c.body(null, 304);
  c.header("Content-Type", file.contentType);
  const isGzipTaken = /\bgzip\b/.test(c.req.header("Accept-Encoding") ?? "");
  if (!isGzipTaken) return c.body(file.bytes);
  c.header("Content-Encoding", "gzip");
  return c.body(file.gzipped);
}
