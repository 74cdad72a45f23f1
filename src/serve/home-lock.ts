import { once } from "node:events";
import { rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";

const LOCK_SOCKET = "platform.sock";

/**
 * Holds the home for one platform: a listening socket, which ends with its process whatever happens, so that no stale lock is ever left. The
 * runtime folder belongs to one home. `home_locked` while another process listens.
 */
export async function lockHome(home: string, runtimeFolder: string): Promise<{ release(): Promise<void> }> {
  const path = join(runtimeFolder, LOCK_SOCKET);
  const server = (await listen(path)) ?? (await takeOver(home, path));
  return {
    async release() {
      server.close();
      await once(server, "close");
    },
  };
}

/** The file of a socket outlives a killed process; nobody answers behind it then. */
async function takeOver(home: string, path: string): Promise<Server> {
  if (!(await answers(path))) {
    await rm(path, { force: true });
    const server = await listen(path);
    if (server !== undefined) return server;
  }
  throw new TidemarkError("home_locked", `Another Tidemark is running on the home "${home}"`, {
    hint: "Stop it first, or set TIDEMARK_HOME and other ports for a second platform.",
  });
}

async function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  try {
    server.listen(path);
    await once(server, "listening");
    return server;
  } catch (error) {
    if (systemErrorCode(error) === "EADDRINUSE") return undefined;
    throw error;
  }
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    // Refused or gone: its process is dead.
    return false;
  } finally {
    socket.destroy();
  }
}
