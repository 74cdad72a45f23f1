import { createRoute, z } from "@hono/zod-openapi";
import { sshFingerprint } from "../core/ssh-fingerprint.ts";
import { answer } from "./api-schemas.ts";
import type { RegionFacts, Router } from "./context.ts";

const Region = z
  .object({
    name: z.string(),
    display_name: z.string(),
    api: z.url(),
    database_api: z.url(),
    ssh: z.string().openapi({ description: "host:port of the SSH gateway" }),
    ssh_host_key: z.string().openapi({ description: "Its public key, as known_hosts has it: `ssh-ed25519 AAAA…`" }),
    ssh_fingerprint: z.string().openapi({ description: "The same as SSH clients show it: `SHA256:…`" }),
    dashboard: z.url(),
    default: z.boolean(),
  })
  .openapi("Region");

const listRegions = createRoute({
  operationId: "listRegions",
  method: "get",
  path: "/v1/regions",
  summary: "Where the APIs of this platform are",
  security: [],
  responses: { 200: answer("The only region", z.object({ regions: z.array(Region) })) },
});

export function registerRegions(router: Router): void {
  router.openapi(listRegions, (c) => c.json({ regions: [viewRegion(c.var.face.region)] }, 200));
}

function viewRegion(region: RegionFacts): z.infer<typeof Region> {
  return {
    name: region.name,
    display_name: region.displayName,
    api: region.publicUrl,
    database_api: region.publicUrl,
    ssh: region.sshAddress,
    ssh_host_key: region.sshHostKey,
    ssh_fingerprint: sshFingerprint(Buffer.from(region.sshHostKey.split(" ")[1] ?? "", "base64")),
    dashboard: region.publicUrl,
    // Clients that log in over SSH look for the region that is the default.
    default: true,
  };
}
