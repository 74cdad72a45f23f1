import { setImmediate as nextTurn } from "node:timers/promises";
import type { Services } from "../../src/control/services.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Logger } from "../../src/core/logger.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "../../src/http/server.ts";
import { ALICE, inMemoryServices } from "./in-memory-services.ts";

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface OpenFace {
  readonly server: HttpServer;
  readonly url: string;
  /** Everything logged so far. */
  readonly log: readonly LogLine[];
  /** Requests `path` with alice's JWT and, if given, a JSON body; `init` overrides both. */
  request(path: string, init?: RequestInit & { json?: unknown }): Promise<Response>;
}

export const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });

export const basic = (name: string, password: string): Record<string, string> => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});

const CONDITION_DEADLINE_MS = 30_000;

/** Waits until `condition` holds; fails when it doesn't within a time that only a hang needs. */
export async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + CONDITION_DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${CONDITION_DEADLINE_MS} ms: ${String(condition)}`);
    await nextTurn();
  }
}

/** Runs the HTTP face on a free port until the test ends. */
export async function openFace(
  cleanUp: { after(clean: () => Promise<void>): void },
  options: Partial<HttpServerOptions> & { services?: Services } = {},
): Promise<OpenFace> {
  const log: LogLine[] = [];
  const server = await createHttpServer({
    services: inMemoryServices(),
    logger: recordingLogger(log, {}),
    clock: systemClock,
    region: {
      name: "local",
      displayName: "Local",
      publicUrl: "http://127.0.0.1:8420",
      sshAddress: "127.0.0.1:8422",
      sshHostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJgqZ0b8S9hW7h6yM3m9Jr6T3JtqVZ5eI6Gm1m0mS0aE",
    },
    state: () => "ready",
    version: "0.1.0",
    bind: "127.0.0.1",
    port: 0,
    ...options,
  });
  cleanUp.after(() => server.close());
  const url = `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${server.port}`;
  return {
    server,
    url,
    log,
    request(path, { json, ...init } = {}) {
      const headers = new Headers({ ...bearer(ALICE.jwt), "Content-Type": "application/json" });
      for (const [name, value] of new Headers(init.headers)) headers.set(name, value);
      return fetch(`${url}${path}`, {
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        ...init,
        headers,
      });
    },
  };
}

function recordingLogger(log: LogLine[], bound: object): Logger {
  const at = (level: LogLine["level"]) => (fields: object, message: string) => {
    log.push({ level, fields: { ...bound, ...fields }, message });
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => recordingLogger(log, { ...bound, ...fields }),
  };
}
