import { once } from "node:events";
import { request } from "node:http";
import type { Socket } from "node:net";
import { pick, pickText } from "./pick.ts";
import { type Platform, waitFor } from "./platform.ts";

/** A one-off container as a client that isn't ours sees it: by the API and by CONNECT. */
export interface RawOneOff {
  readonly id: string;
  readonly label: string;
  readonly attachUrl: URL;
  /** What the request was answered, and what its operation was in the end. */
  readonly started: unknown;
  readonly operation: unknown;
  /** Of the user who started it, as attach addresses take it. */
  readonly authorization: string;
}

/** Starts one and waits until it can be attached to. */
export async function startOneOff(platform: Platform, app: string, command: string): Promise<RawOneOff> {
  const jwt = await platform.ownerJwt();
  const body = { command, detached: false, env: { TERM: "xterm", CLIENT_OS: "linux" }, has_uploads: false, size: "M" };
  const started = await platform.api("POST", `/v1/apps/${app}/run`, { token: jwt, body });
  const id = pickText(started.body, "container", "id");
  let operation: unknown;
  await waitFor(async () => {
    operation = pick((await platform.api("GET", `/v1/apps/${app}/operations/${id}`)).body, "operation");
    return pick(operation, "status") !== "pending";
  }, "the start of a one-off container");
  return {
    id,
    label: pickText(started.body, "container", "label"),
    started: started.body,
    operation,
    attachUrl: new URL(pickText(operation, "start_one_off_data", "attach_url")),
    authorization: `Basic ${Buffer.from(`:${jwt}`).toString("base64")}`,
  };
}

/** Takes the terminal; the status and, when it is 200, the socket, to be destroyed by whoever asked. */
export async function connectTo(
  { attachUrl }: RawOneOff,
  authorization: string,
): Promise<{ readonly status: number; readonly socket: Socket }> {
  const asked = request({
    method: "CONNECT",
    host: attachUrl.hostname,
    port: attachUrl.port,
    path: attachUrl.pathname,
    headers: { authorization },
  });
  asked.end();
  const [response, socket] = (await once(asked, "connect")) as [{ statusCode: number }, Socket]; // of http.ClientRequest
  return { status: response.statusCode, socket };
}
