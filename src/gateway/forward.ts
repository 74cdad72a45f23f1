import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { ServerChannel } from "ssh2";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";

/** A server on this machine answers at once; one that doesn't is stopping or overrun. */
const CONNECT_TIMEOUT_MS = 10_000;
/** What a client may send ahead of the database's reading: twice the window that the library grants, since it doesn't enforce it. */
const UNREAD_BYTES_MAX = 4 * 1024 * 1024;

/** Connects to a database's server. `server_not_running` when nobody answers there in time. */
export async function connectTo({ host, port }: { host: string; port: number }, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  // Whatever happens to it later is the forwarding's business; without a listener it would end the process.
  socket.on("error", () => undefined);
  const deadline = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  try {
    await once(socket, "connect", { signal: AbortSignal.any([signal, deadline]) });
    return socket;
  } catch (error) {
    socket.destroy();
    throw new TidemarkError("server_not_running", `The database's server doesn't answer on port ${port}`, {
      hint: `tidemark addons-info says what became of it (${systemErrorCode(error) ?? "no answer in time"}).`,
      cause: error,
    });
  }
}

export interface Forwarding {
  readonly channel: ServerChannel;
  readonly database: Socket;
  /** What carries the SSH connection, and with it all of its channels. */
  readonly transport: Socket;
  /** Ends it at once. */
  readonly signal: AbortSignal;
  /** Told when the client sends more than it may: its connection should be cut. */
  readonly onFlood: () => void;
}

/**
 * Carries bytes both ways until either side ends or the signal aborts; then both are closed. Never rejects. Memory is bounded whatever the client
 * does: the database is read no faster than the client's TCP connection takes it, and a client that ignores its window is cut.
 */
export async function forward({ channel, database, transport, signal, onFlood }: Forwarding): Promise<void> {
  const over = new AbortController();
  const end = (): void => {
    over.abort();
    database.destroy();
  };
  channel.once("close", end);
  database.once("close", () => over.abort());
  signal.addEventListener("abort", end, { once: true });
  limitUnread(channel, onFlood);
  channel.pipe(database);
  try {
    for await (const chunk of database) {
      if (!channel.write(chunk)) await once(channel, "drain", { signal: over.signal });
      // The channel's window is the client's to choose, up to 4 GiB: what its connection has not taken yet would wait in our memory.
      if (transport.writableNeedDrain) await once(transport, "drain", { signal: over.signal });
    }
  } catch {
    // Reset or closed by one side: the tunnel is over, and whoever used it sees its connection end.
  } finally {
    signal.removeEventListener("abort", end);
    database.destroy();
    channel.end();
  }
}

function limitUnread(channel: ServerChannel, onFlood: () => void): void {
  const push = channel.push.bind(channel);
  channel.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (channel.readableLength <= UNREAD_BYTES_MAX) return push(chunk, encoding);
    onFlood();
    return false;
  };
}
