import { openAsBlob } from "node:fs";
import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { basename } from "node:path";
import type { Socket } from "node:net";
import { TidemarkError } from "../core/errors.ts";
import { basicAuthorization, type PlatformClient } from "./client.ts";
import type { CommandCall } from "./command.ts";
import { anything, isJsonObject } from "./decode.ts";
import { type OneOffOperation, oneOffEndReply, oneOffOperationReply, runReply } from "./replies.ts";
import { replyError } from "./reply-error.ts";
import { route, unreachable } from "./transport.ts";

export interface OneOffStart {
  readonly app: string;
  readonly command: string;
  readonly detached: boolean;
  readonly size: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

/** A one-off container that can be attached to. */
export interface ReadyOneOff {
  readonly label: string;
  readonly attachUrl: string;
  readonly startupMs: number;
}

/** How often the start is asked about: it takes less than a second. */
const POLL_INTERVAL_MS = 200;

/** Asks the platform to run a command; the reply's body is for `--json`. */
export async function startOneOff(
  client: PlatformClient,
  start: OneOffStart,
): Promise<{ readonly id: string; readonly label: string; readonly body: unknown }> {
  const { value, body } = await client.post(
    route`/v1/apps/${start.app}/run`,
    {
      command: start.command,
      detached: start.detached,
      env: start.environment,
      has_uploads: false,
      ...(start.size === undefined ? {} : { size: start.size }),
    },
    runReply,
  );
  return { id: value.container.id, label: value.container.label, body };
}

/** Waits until it can be attached to. `one_off_failed` when it could not start. */
export async function untilReady(
  call: CommandCall,
  client: PlatformClient,
  { app, id, label }: { readonly app: string; readonly id: string; readonly label: string },
): Promise<ReadyOneOff> {
  for (;;) {
    const { operation } = (await client.get(route`/v1/apps/${app}/operations/${id}`, oneOffOperationReply)).value;
    const attachUrl = operation.start_one_off_data.attach_url;
    if (operation.status === "error")
      throw new TidemarkError("one_off_failed", operation.error ?? "It could not start");
    if (operation.status === "done" && attachUrl !== null) return { label, attachUrl, startupMs: startupMs(operation) };
    await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
  }
}

/** What stands behind an attach address: the terminal, its size, files, and how it ended. */
export interface AttachedOneOff {
  /** Sends a file to /tmp/uploads. */
  upload(path: string): Promise<void>;
  resize(size: { readonly columns: number; readonly rows: number }): Promise<void>;
  /** Takes the terminal: from then on the socket carries its bytes both ways. */
  connect(): Promise<Socket>;
  /** How it ended; to be asked after the socket's end. */
  end(): Promise<{ readonly exitCode: number; readonly wasInactive: boolean }>;
}

export function openAttached(call: CommandCall, attachUrl: string, jwt: string): AttachedOneOff {
  const url = new URL(attachUrl);
  const authorization = basicAuthorization({ user: "", password: jwt });
  const transport = call.transport(url.origin);
  return {
    upload: (path) => uploadFile(path, { attachUrl, authorization, signal: call.signal }),
    async resize({ columns, rows }) {
      const body = { width: String(columns), height: String(rows) };
      await transport({ method: "PUT", path: url.pathname, authorization, body, decode: anything });
    },
    connect: () => connectTerminal(url, { authorization, signal: call.signal }),
    async end() {
      const path = `${url.pathname}/wait`;
      try {
        const { value } = await transport({ method: "GET", path, authorization, decode: oneOffEndReply });
        return { exitCode: value.exit_code, wasInactive: false };
      } catch (error) {
        if (!(error instanceof TidemarkError) || error.details?.["http_status"] !== 408) throw error;
        return { exitCode: 0, wasInactive: true };
      }
    },
  };
}

async function uploadFile(
  path: string,
  { attachUrl, authorization, signal }: { attachUrl: string; authorization: string; signal: AbortSignal },
): Promise<void> {
  const form = new FormData();
  try {
    form.append("file", await openAsBlob(path), basename(path));
  } catch (error) {
    throw new TidemarkError("usage", `Cannot read the file "${path}"`, {
      hint: "A folder is sent as an archive: tar --create --gzip --file folder.tar.gz folder",
      cause: error,
    });
  }
  const response = await fetch(`${attachUrl}/files`, {
    method: "POST",
    headers: { authorization },
    body: form,
    signal,
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw unreachable(error, { url: new URL(attachUrl).origin, timedOut: false });
  });
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw replyError(response.status, isJsonObject(body) ? body : {});
}

async function connectTerminal(
  url: URL,
  { authorization, signal }: { authorization: string; signal: AbortSignal },
): Promise<Socket> {
  const send = url.protocol === "https:" ? tlsRequest : plainRequest;
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const request = send({
    method: "CONNECT",
    host: url.hostname.replaceAll(/[[\]]/g, ""),
    port: url.port,
    path: url.pathname,
    headers: { authorization, host: url.host },
    signal,
  });
  request.once("connect", (response, socket: Socket, head) => {
    if (response.statusCode === 200) {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
      return;
    }
    socket.destroy();
    reject(replyError(response.statusCode ?? 0, {}));
  });
  request.once("error", (error) => reject(unreachable(error, { url: url.origin, timedOut: false })));
  request.end();
  return await promise;
}

function startupMs({ created_at: createdAt, finished_at: finishedAt }: OneOffOperation): number {
  return finishedAt === null ? 0 : finishedAt.getTime() - createdAt.getTime();
}
