/**
 * The only program of ours that runs inside a sandbox: it owns the terminal of the one-off's command, forwards connections to the sockets that the
 * platform put beside it, and tells how the command ended. Started by `sandbox.ts`; its arguments are the forwards, as `PORT=SOCKET`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants as files, openSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer, Socket } from "node:net";
import { constants } from "node:os";
import { Writable } from "node:stream";
import { ReadStream } from "node:tty";
import { systemErrorCode } from "../core/errors.ts";
import { type AgentStart, CONTROL_DESCRIPTOR, lineReader, type MessageFromAgent } from "./agent-messages.ts";

/** What `openpty` gives, as node-pty's binding has it; the package's own interface can only fork, and then loses the end of the output. */
interface TerminalBinding {
  open(columns: number, rows: number): { readonly master: number; readonly slave: number; readonly pty: string };
  resize(descriptor: number, columns: number, rows: number): void;
}

/** Once the command has ended, its terminal closes by itself, unless something in the background still has it: then silence for so long is the end. */
const SILENCE_AFTER_END_MS = 300;
const SILENCE_CHECK_INTERVAL_MS = 50;
/** A terminal that is full is tried again so soon, then after twice as long each time, up to a pace that costs nothing. */
const INPUT_RETRY_MIN_MS = 1;
const INPUT_RETRY_MAX_MS = 50;
/** As shells have it: a program that a signal ended has 128 and the signal's number. */
const EXIT_SIGNAL_BASE = 128;
/** As shells have it: the program can't be run. */
const EXIT_NOT_RUN = 126;

interface Terminal {
  readonly master: number;
  readonly child: ChildProcess;
}

await serve(process.argv.slice(2));

async function serve(forwards: readonly string[]): Promise<void> {
  const binding = loadBinding();
  const control = new Socket({ fd: CONTROL_DESCRIPTOR });
  let terminal: Terminal | undefined;
  // Messages come from the platform, in the shapes of `MessageToAgent`.
  const obey = (line: string): void => {
    const message: unknown = JSON.parse(line);
    if (!isRecord(message)) return;
    if (message["kind"] === "start" && terminal === undefined) {
      // The platform writes what its own type says.
      terminal = runCommand(binding, control, message["start"] as AgentStart);
    } else if (message["kind"] === "resize" && terminal !== undefined) {
      binding.resize(terminal.master, Number(message["columns"]), Number(message["rows"]));
    } else if (message["kind"] === "stop") {
      // An interactive shell ignores the first.
      terminal?.child.kill("SIGTERM");
      terminal?.child.kill("SIGHUP");
    }
  };
  // Without the platform there is nobody to work for.
  const leave = (): void => process.exit(EXIT_NOT_RUN);
  control.on("close", leave).on("error", leave);
  control.setEncoding("utf8").on("data", lineReader(obey, leave));
  await Promise.all(forwards.map(forward));
  tell(control, { kind: "ready" });
}

/** Runs the command on a terminal of its own, as the leader of a session. */
function runCommand(
  binding: TerminalBinding,
  control: Socket,
  { command, environment, columns, rows }: AgentStart,
): Terminal {
  const { master, slave, pty } = binding.open(columns, rows);
  // Opened anew: the binding's own end doesn't block, which programs don't expect of a terminal.
  const end = openSync(pty, files.O_RDWR | files.O_NOCTTY);
  const child = spawn("/usr/bin/setsid", ["--ctty", "/bin/bash", "-c", command], {
    env: environment,
    stdio: [end, end, end],
  });
  closeSync(end);
  closeSync(slave);
  const output = new ReadStream(master);
  let lastOutputAtMs = performance.now();
  output.on("data", () => (lastOutputAtMs = performance.now()));
  output.pipe(process.stdout, { end: false });
  process.stdin.pipe(inputOf(master, output), { end: false });
  process.stdin.on("error", () => undefined);
  let isClosed = false;
  // The system answers EIO when nobody has the terminal any more: that is its end.
  output.on("error", () => (isClosed = true));
  output.on("close", () => (isClosed = true));
  const finish = (exitCode: number): void => {
    const timer = setInterval(() => {
      const isSilent = performance.now() - lastOutputAtMs > SILENCE_AFTER_END_MS && !output.isPaused();
      if (process.stdout.writableLength > 0 || !(isClosed || isSilent)) return;
      clearInterval(timer);
      tell(control, { kind: "ended", exitCode });
      // The platform closes the socket, which ends this process and with it everything in the sandbox.
      control.end();
    }, SILENCE_CHECK_INTERVAL_MS);
  };
  child.on("error", () => finish(EXIT_NOT_RUN));
  child.on("exit", (code, signal) =>
    finish(code ?? EXIT_SIGNAL_BASE + (signal === null ? 0 : constants.signals[signal])),
  );
  return { master, child };
}

/**
 * What is typed. The runtime's own stream would wait for the terminal to take all of it, and everything else here with it: what the command prints, its
 * connections, its end. Once the terminal is closed, whatever comes is thrown away.
 */
function inputOf(master: number, terminal: ReadStream): Writable {
  const feed = (bytes: Buffer, done: () => void, retryMs = INPUT_RETRY_MIN_MS): void => {
    const taken = terminal.destroyed ? bytes.length : writeSome(master, bytes);
    if (taken === bytes.length) done();
    else if (taken > 0) setImmediate(feed, bytes.subarray(taken), done);
    else setTimeout(feed, retryMs, bytes, done, Math.min(retryMs * 2, INPUT_RETRY_MAX_MS));
  };
  return new Writable({ write: (bytes: Buffer, _encoding, done) => feed(bytes, done) });
}

/** How many bytes a terminal takes at once: none while it is full, all once nobody has it any more. */
function writeSome(master: number, bytes: Buffer): number {
  try {
    return writeSync(master, bytes);
  } catch (error) {
    return systemErrorCode(error) === "EAGAIN" ? 0 : bytes.length;
  }
}

/** Listens on a port of the sandbox's own network and joins each connection to the platform's socket. */
async function forward(argument: string): Promise<void> {
  const [port = "", socketPath = ""] = argument.split("=");
  const server = createServer((inside) => {
    const outside = connect(socketPath);
    inside.pipe(outside).pipe(inside);
    inside.on("error", () => outside.destroy());
    outside.on("error", () => inside.destroy());
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host: "127.0.0.1", port: Number(port) }, resolve);
  await promise;
}

function tell(control: Socket, message: MessageFromAgent): void {
  control.write(`${JSON.stringify(message)}\n`);
}

function loadBinding(): TerminalBinding {
  const load = createRequire(import.meta.url);
  // node-pty has no types for its binding; these are its two calls that are used here.
  const modules = load("@lydell/node-pty/requireBinary.js") as { requireBinary(name: string): TerminalBinding };
  return modules.requireBinary("pty.node");
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
