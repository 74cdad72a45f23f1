import { once } from "node:events";
import type { Socket } from "node:net";
import type { AttachedOneOff } from "./one-off-client.ts";
import type { CommandLineStreams, OutputStream } from "./streams.ts";

/** Ends the input of a program that reads from a terminal. */
const END_OF_INPUT = "\u0004";
const LINE_END = 0x0a;

/**
 * Joins this process's terminal, or its pipes, and the one at the other end until that one ends. A terminal is put into raw mode meanwhile, so that
 * every key, Ctrl+C among them, goes to the other end. Rejects with the signal's reason when it aborts.
 */
export async function holdTerminal(
  socket: Socket,
  {
    attached,
    streams: { stdin, stdout },
    signal,
  }: { attached: AttachedOneOff; streams: CommandLineStreams; signal: AbortSignal },
): Promise<void> {
  const ended = once(socket, "close", { signal });
  // How the connection broke is no news: how the command ended is asked next.
  socket.on("error", () => undefined);
  const onResize = (): void => {
    // The next change of size tells it again.
    void attached.resize(terminalSize(stdout)).catch(() => undefined);
  };
  if (stdout.isTTY === true) stdout.on("resize", onResize);
  const isTerminal = stdin.isTTY === true;
  if (isTerminal) stdin.setRawMode?.(true);
  let lastByte = LINE_END;
  stdin.on("data", (chunk: Buffer) => (lastByte = chunk.at(-1) ?? lastByte));
  stdin.pipe(socket, { end: false });
  stdin.once("end", () => {
    // In the middle of a line the first one only hands over what there is of it.
    if (socket.writable) socket.write(lastByte === LINE_END ? END_OF_INPUT : END_OF_INPUT + END_OF_INPUT);
  });
  socket.pipe(stdout, { end: false });
  try {
    await ended;
  } finally {
    stdin.unpipe(socket);
    stdin.pause();
    if (isTerminal) stdin.setRawMode?.(false);
    stdout.off("resize", onResize);
    socket.destroy();
  }
}

export function terminalSize({ columns, rows }: OutputStream): { columns: number; rows: number } {
  return { columns: columns ?? 80, rows: rows ?? 24 };
}
