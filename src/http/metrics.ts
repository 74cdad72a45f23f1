import { isIP } from "node:net";
import type { Context } from "hono";
import type { Principal } from "../control/model.ts";
import { TidemarkError } from "../core/errors.ts";
import { clientAddress } from "./client-address.ts";
import type { FaceEnv, Router } from "./context.ts";
import { parseAuthorization } from "./credentials.ts";

/** Where monitoring systems look. Text and not JSON, so it stands beside the API and not in its description. */
export const METRICS_PATH = "/metrics";
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Adds the metrics: open to this machine, to others with an API token of the platform's owner. */
export function registerMetrics(router: Router): void {
  router.get(METRICS_PATH, async (c) => {
    const text = await c.var.face.services.metrics.render(await whoReads(c));
    return c.text(text, 200, { "Content-Type": CONTENT_TYPE });
  });
}

/** A token counts wherever it comes from, so that a wrong one is never overlooked. */
async function whoReads(c: Context<FaceEnv>): Promise<Principal | "local"> {
  const credentials = parseAuthorization(c.req.header("Authorization"));
  const { identity } = c.var.face.services;
  const address = clientAddress({
    remoteAddress: c.env.incoming.socket.remoteAddress,
    forwardedFor: c.req.header("X-Forwarded-For"),
    behindProxy: c.var.face.behindProxy,
  });
  if (credentials?.kind === "apiToken")
    return await identity.authenticateApiToken({ secret: credentials.secret, address });
  // Monitoring systems send a fixed token as a bearer.
  if (credentials?.kind === "bearer")
    return await identity.authenticateApiToken({ secret: credentials.token, address });
  if (isLoopback(address)) return "local";
  throw new TidemarkError("unauthenticated", "Metrics are open to this machine only, or need an API token", {
    hint: "Send an API token of the platform's owner (Authorization: Bearer); see docs/operating/metrics.md.",
  });
}

function isLoopback(address: string): boolean {
  return address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}
