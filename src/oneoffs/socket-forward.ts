import { once } from "node:events";
import { chown, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import type { ServiceUser } from "../instances/service-user.ts";

/** Connections that one sandbox may have open to one destination; a script's pool is far smaller. */
const CONNECTIONS_MAX = 64;

export interface SocketForward {
  readonly socketPath: string;
  /** Takes no more connections and cuts those that are open. May be called twice. */
  close(): Promise<void>;
}

/**
 * Listens on a Unix socket that only the service user may use, and joins each connection to `target`: the only way from a sandbox to anything outside.
 * The socket's folder is private to that user.
 */
export async function openSocketForward(
  socketPath: string,
  { target, user }: { readonly target: { readonly host: string; readonly port: number }; readonly user: ServiceUser },
): Promise<SocketForward> {
  const sockets = new Set<Socket>();
  const server = createServer((inside) => {
    const outside = connect(target);
    for (const socket of [inside, outside]) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
    inside.pipe(outside).pipe(inside);
    // Either end's failure is the other's end; whoever is connected sees it there.
    inside.on("error", () => outside.destroy());
    outside.on("error", () => inside.destroy());
    inside.on("close", () => outside.destroy());
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.listen(socketPath);
  await once(server, "listening");
  if (user.isSwitchedFromRoot) await chown(socketPath, user.uid, user.gid);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
    await rm(socketPath, { force: true });
  };
  return { socketPath, close: () => (closing ??= close()) };
}
