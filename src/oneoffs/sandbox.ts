import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { chown, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { Duplex, type Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { assert } from "../core/assert.ts";
import { TidemarkError } from "../core/errors.ts";
import { repeat } from "../core/repeat.ts";
import { type AgentStart, lineReader, type MessageFromAgent, type MessageToAgent } from "./agent-messages.ts";
import { launchCommand } from "./launch-command.ts";
import { readTreeUse } from "./process-tree.ts";
import { INSIDE_SOCKETS, OPTIONAL_FILES, sandboxArguments } from "./sandbox-arguments.ts";
import { makeSandboxFiles, type SandboxFiles } from "./sandbox-files.ts";
import {
  findBubblewrap,
  makeOwnedFolder,
  type OpenSandboxHost,
  refusedByKernel,
  SOCKET_FOLDER_PREFIX,
} from "./sandbox-host.ts";
import { openSocketForward, type SocketForward } from "./socket-forward.ts";

/** A place outside that can be reached from inside, at the same name and port. */
export interface Destination {
  readonly hostName: string;
  readonly port: number;
  /** Where the platform connects to. */
  readonly target: { readonly host: string; readonly port: number };
}

export interface SandboxRequest {
  /** Names its folder; of letters and digits. */
  readonly id: string;
  /** `one-off-12` */
  readonly label: string;
  /** What all its processes may use together. */
  readonly memoryBytesMax: number;
  /** Files in its home and in its /tmp, each; they live in memory and go with it. */
  readonly fileBytesMax: number;
  readonly destinations: readonly Destination[];
}

export interface SandboxEnd {
  readonly exitCode: number;
  /** `exited`: the command ended. `memory`, `processes`: it was ended at that limit. `closed`: by `close()`. `failed`: the sandbox itself broke. */
  readonly reason: "exited" | "memory" | "processes" | "closed" | "failed";
}

/** Enough for any tool, and few enough that a fork bomb leaves the machine alone. */
const PROCESSES_MAX = 256;
/** Ours inside (bubblewrap, the agent and its threads), and a margin for what is counted between birth and refusal. */
const PROCESSES_MARGIN = 32;
/** The agent's own memory. */
const AGENT_BYTES = 128 * 1024 * 1024;
/** How often the limits for all processes together are looked at. */
const WATCH_INTERVAL_MS = 500;
/** Starting Node.js takes a tenth of a second; a crowded machine gets much more. */
const START_TIMEOUT_MS = 30_000;
/** The last lines of what bwrap says when it fails. */
const DIAGNOSIS_CHARACTERS_MAX = 2000;
/** As shells have it, for a process that SIGKILL ended. */
const EXIT_KILLED = 137;
/** Bytes of files that may be sent along with a one-off, all together. */
export const UPLOAD_BYTES_MAX = 100 * 1024 * 1024;

/**
 * One command in a sandbox of its own: namespaces for users, mounts, processes, IPC, host name, control groups and network; no capability; a read-only
 * system; and nothing outside but its destinations. `launch()` makes it, `run()` starts the command in it, `close()` ends all of it. It never outlives
 * this process.
 */
export class Sandbox {
  /** The terminal's bytes, as they come. Whoever doesn't read holds the command up. */
  readonly output: Readable;
  /** What is typed. */
  readonly input: Writable;
  readonly ended: Promise<SandboxEnd>;
  readonly #child: ChildProcess;
  readonly #control: Duplex;
  readonly #host: OpenSandboxHost;
  readonly #folders: readonly string[];
  readonly #files: SandboxFiles;
  readonly #forwards: readonly SocketForward[];
  readonly #closing = new AbortController();
  readonly #end = Promise.withResolvers<SandboxEnd>();
  readonly #gone = Promise.withResolvers<void>();
  #uploadedBytes = 0;
  #closed: Promise<void> | undefined;

  private constructor(input: {
    child: ChildProcess;
    host: OpenSandboxHost;
    folders: readonly string[];
    files: SandboxFiles;
    forwards: readonly SocketForward[];
  }) {
    const { child } = input;
    const control = child.stdio[3];
    assert(child.stdin !== null && child.stdout !== null && control instanceof Duplex, "all streams are pipes");
    this.#child = child;
    this.#control = control;
    this.#host = input.host;
    this.#folders = input.folders;
    this.#files = input.files;
    this.#forwards = input.forwards;
    this.output = child.stdout;
    this.input = child.stdin;
    this.ended = this.#end.promise;
    // Writing to one that has just ended fails; that it has ended is told by `ended`.
    this.input.on("error", () => undefined);
    control.on("error", () => undefined);
    child.once("exit", () => {
      this.#end.resolve({ exitCode: EXIT_KILLED, reason: "failed" });
      this.#gone.resolve();
    });
  }

  /**
   * Makes the sandbox and waits until its agent is ready; the command isn't started yet. `sandbox_unavailable` where there is no bubblewrap or the
   * kernel refuses, with what to set. Nothing is left of one that failed.
   */
  static async launch(host: OpenSandboxHost, request: SandboxRequest): Promise<Sandbox> {
    const { canForbidUserNamespaces } = await findBubblewrap();
    const folder = join(host.workFolder, request.id);
    const socketFolder = join(host.socketFolder, `${SOCKET_FOLDER_PREFIX}${request.id.slice(-8)}`);
    const forwards: SocketForward[] = [];
    try {
      const files = await makeSandboxFiles(host, {
        folder,
        hostNames: request.destinations.map(({ hostName }) => hostName),
      });
      await makeOwnedFolder(socketFolder, host.user);
      for (const { port, target } of request.destinations)
        forwards.push(await openSocketForward(join(socketFolder, String(port)), { target, user: host.user }));
      const child = startBubblewrap(host, { request, files, socketFolder, canForbidUserNamespaces });
      const sandbox = new Sandbox({ child, host, folders: [socketFolder, folder], files, forwards });
      await sandbox.#untilReady();
      void sandbox.#watch(request);
      return sandbox;
    } catch (error) {
      for (const forward of forwards) await forward.close();
      for (const each of [socketFolder, folder]) await rm(each, { recursive: true, force: true });
      throw error;
    }
  }

  /** Starts the command. Call it once. */
  run(start: AgentStart): void {
    this.#tell({ kind: "start", start });
  }

  resize(size: { readonly columns: number; readonly rows: number }): void {
    this.#tell({ kind: "resize", ...size });
  }

  /** Asks the command to end. */
  stop(): void {
    this.#tell({ kind: "stop" });
  }

  /** Puts a file beside the command, at /tmp/uploads. `payload_too_large` beyond `UPLOAD_BYTES_MAX` for all together; what came until then is gone. */
  async upload(name: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const path = join(this.#files.uploadFolder, basename(name));
    const measured = this.#measure.bind(this);
    try {
      await pipeline(bytes, measured, createWriteStream(path, { mode: 0o600 }), { signal });
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    const { user } = this.#host;
    if (user.isSwitchedFromRoot) await chown(path, user.uid, user.gid);
  }

  /** Ends every process in it and removes its files. May be called again. */
  close(): Promise<void> {
    return (this.#closed ??= this.#tearDown("closed"));
  }

  async *#measure(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of bytes) {
      this.#uploadedBytes += chunk.length;
      if (this.#uploadedBytes > UPLOAD_BYTES_MAX) {
        throw new TidemarkError("payload_too_large", `The files of a one-off have at most ${UPLOAD_BYTES_MAX} bytes`);
      }
      yield chunk;
    }
  }

  async #tearDown(reason: SandboxEnd["reason"]): Promise<void> {
    this.#end.resolve({ exitCode: EXIT_KILLED, reason });
    this.#closing.abort();
    // Killing bubblewrap kills the first process of the namespace, and the kernel kills the others with that one.
    this.#child.kill("SIGKILL");
    await this.#gone.promise;
    for (const forward of this.#forwards) await forward.close();
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }

  #tell(message: MessageToAgent): void {
    if (this.#control.writable) this.#control.write(`${JSON.stringify(message)}\n`);
  }

  /** Resolves at the agent's first word; from then on its messages are the sandbox's. */
  async #untilReady(): Promise<void> {
    let said = "";
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-DIAGNOSIS_CHARACTERS_MAX);
    });
    const ready = Promise.withResolvers<void>();
    const read = lineReader(
      (line) => {
        const message = readMessage(line);
        if (message?.kind === "ready") ready.resolve();
        if (message?.kind === "ended") this.#commandEnded(message.exitCode);
      },
      () => this.#child.kill("SIGKILL"),
    );
    this.#control.setEncoding("utf8").on("data", read);
    this.#child.once("error", (error) => {
      this.#gone.resolve();
      ready.reject(error);
    });
    this.#child.once("close", () => ready.reject(new Error("it ended")));
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), START_TIMEOUT_MS);
    try {
      await ready.promise;
    } catch {
      throw await refusedByKernel(said);
    } finally {
      clearTimeout(timer);
    }
  }

  #commandEnded(exitCode: number): void {
    this.#end.resolve({ exitCode, reason: "exited" });
    // The agent ends with this, and the sandbox with it; its output stays readable to the end.
    this.#control.end();
  }

  /** No control group is ours to limit them by: what all processes use together is looked at instead. */
  async #watch({ memoryBytesMax }: SandboxRequest): Promise<void> {
    const { clock, logger } = this.#host;
    const pid = this.#child.pid ?? 0;
    const signal = this.#closing.signal;
    void this.ended.then(() => this.#closing.abort());
    const look = async (): Promise<void> => {
      const use = await readTreeUse(pid);
      if (use.memoryBytes > memoryBytesMax + AGENT_BYTES) await this.#tearDown("memory");
      else if (use.processes > PROCESSES_MAX + PROCESSES_MARGIN) await this.#tearDown("processes");
    };
    const onFailure = (error: unknown): void => logger.warn({ err: error }, "Cannot look at a one-off's processes");
    await repeat(look, { clock, intervalMs: WATCH_INTERVAL_MS, signal, onFailure });
  }
}

function startBubblewrap(
  host: OpenSandboxHost,
  {
    request,
    files,
    socketFolder,
    canForbidUserNamespaces,
  }: {
    request: SandboxRequest;
    files: SandboxFiles;
    socketFolder: string;
    canForbidUserNamespaces: boolean;
  },
): ChildProcess {
  const { label, fileBytesMax, memoryBytesMax, destinations } = request;
  const [program = "", ...programArguments] = launchCommand({
    user: host.user,
    mounts: host.mounts,
    bwrap: "bwrap",
    memoryBytesMax,
    fileBytesMax,
    bwrapArguments: sandboxArguments({
      label,
      fileBytesMax,
      canForbidUserNamespaces,
      processesMax: PROCESSES_MAX,
      topFolders: host.topFolders,
      optionalFiles: OPTIONAL_FILES,
      bindings: [...host.bindings, ...files.bindings, { from: socketFolder, to: INSIDE_SOCKETS }],
      forwards: destinations.map(({ port }) => ({ port, socketPath: join(INSIDE_SOCKETS, String(port)) })),
    }),
  });
  return spawn(program, programArguments, {
    cwd: "/",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    stdio: ["pipe", "pipe", "pipe", "pipe"],
  });
}

/** What came from inside, if it is a message at all. */
function readMessage(line: string): MessageFromAgent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("kind" in value)) return undefined;
  if (value.kind === "ready") return { kind: "ready" };
  if (value.kind !== "ended" || !("exitCode" in value)) return undefined;
  const { exitCode } = value;
  const isCode = typeof exitCode === "number" && Number.isInteger(exitCode) && exitCode >= 0 && exitCode <= 255;
  return isCode ? { kind: "ended", exitCode } : undefined;
}
