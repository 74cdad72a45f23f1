import type { HttpBindings } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Services } from "../control/services.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { DashboardFiles } from "./dashboard-files.ts";

export type PlatformState = "starting" | "ready" | "stopping";

/** What `GET /v1/regions` tells of this installation. There is one region; its API, login and database API share an origin. */
export interface RegionFacts {
  /** `local` */
  readonly name: string;
  readonly displayName: string;
  /** Scheme, host and port as clients reach them, without a slash at the end. */
  readonly publicUrl: string;
  /** `host:port` of the SSH gateway. */
  readonly sshAddress: string;
  /** The SSH gateway's public key, one line: `ssh-ed25519 AAAA…` */
  readonly sshHostKey: string;
}

/** What every route may use. It reaches handlers as `c.var.face`. */
export interface HttpFace {
  readonly services: Services;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly region: RegionFacts;
  /** Asked at each request. */
  readonly state: () => PlatformState;
  readonly version: string;
  /** The built dashboard; empty where there is none. */
  readonly dashboard: DashboardFiles;
  /** True where a reverse proxy of the operator's own stands before us: only then is X-Forwarded-For believed. */
  readonly behindProxy: boolean;
  readonly maxBodyBytes: number;
  /** Aborts when the server begins to close: answers that would go on for as long as they are read end then. */
  readonly closing: AbortSignal;
}

export interface FaceEnv {
  readonly Bindings: HttpBindings;
  readonly Variables: { readonly face: HttpFace; readonly requestId: string };
}

export type Router = OpenAPIHono<FaceEnv>;
