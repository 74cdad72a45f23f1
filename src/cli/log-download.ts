import { once } from "node:events";
import { TidemarkError } from "../core/errors.ts";
import { isJsonObject } from "./decode.ts";
import { replyError } from "./reply-error.ts";

/** The lines are read from a file and sent at once. */
const DUMP_TIMEOUT_MS = 60_000;

/**
 * The last lines of the log at this signed address; empty when there are none.
 *
 * @throws `platform_unreachable` when nobody answers, the platform's own error otherwise, the signal's reason when it aborts.
 */
export async function dumpLog(url: string, { lines, signal }: { lines: number; signal: AbortSignal }): Promise<string> {
  const address = new URL(url);
  address.searchParams.set("n", String(lines));
  const deadline = AbortSignal.timeout(DUMP_TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(address, { redirect: "error", signal: AbortSignal.any([signal, deadline]) });
    if (response.status === 204) return "";
    if (response.status === 200) return await response.text();
  } catch (error) {
    signal.throwIfAborted();
    throw unreachable(address, error);
  }
  const body: unknown = await response.json().catch(() => ({}));
  throw replyError(response.status, isJsonObject(body) ? body : {});
}

/**
 * Lines of the log at this signed address as they are written, until the signal.
 *
 * @throws `platform_unreachable` when the connection can't be made or is ended from the other side.
 */
export async function* followLog(url: string, signal: AbortSignal): AsyncGenerator<string> {
  const address = new URL(url);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("stream", "true");
  const socket = new WebSocket(address);
  const lines: string[] = [];
  const news = new EventTarget();
  let ended = false;
  const wake = (): void => void news.dispatchEvent(new Event("news"));
  socket.addEventListener("message", ({ data }) => {
    const line = lineOf(data);
    if (line !== undefined) lines.push(line);
    wake();
  });
  socket.addEventListener("close", () => {
    ended = true;
    wake();
  });
  signal.addEventListener("abort", wake);
  try {
    while (!signal.aborted) {
      const line = lines.shift();
      if (line !== undefined) yield line;
      else if (ended) throw unreachable(address);
      else await once(news, "news");
    }
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", wake);
    socket.close();
  }
}

function lineOf(data: unknown): string | undefined {
  const message: unknown = typeof data === "string" ? JSON.parse(data) : undefined;
  if (!isJsonObject(message) || message["event"] !== "log") return undefined;
  return typeof message["log"] === "string" ? message["log"] : undefined;
}

function unreachable({ host }: URL, cause?: unknown): TidemarkError {
  return new TidemarkError("platform_unreachable", `The connection to the log at ${host} ended`, {
    hint: "Run the command again; tidemark status says whether the platform answers.",
    ...(cause === undefined ? {} : { cause }),
  });
}
