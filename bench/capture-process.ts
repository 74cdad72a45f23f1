import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { type Lsn, parseLsn } from "../src/core/lsn.ts";
import type { PostgresServer } from "../test/harness/postgres-server.ts";
import { type CleanUp, makeTempFolder } from "../test/harness/temp-folder.ts";

export interface CapturePlace {
  readonly socketFolder: string;
  readonly port: number;
  readonly repositoryFolder: string;
  readonly spoolFolder: string;
  readonly recipient: string;
  readonly identity: string;
  readonly streamCount: number;
  readonly zstdLevel?: number;
}

export type ParentMessage = { readonly kind: "back up" } | { readonly kind: "usage" };

export interface Usage {
  readonly processorSeconds: number;
  readonly memoryBytes: number;
  readonly peakMemoryBytes: number;
}

export type ChildMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "durable"; readonly stream: number; readonly lsn: string; readonly atMs: number }
  | { readonly kind: "backed up"; readonly storedBytes: number; readonly dataBytes: number }
  | ({ readonly kind: "usage" } & Usage);

/** From then on the repository holds a stream's log up to a position. */
export interface DurableReport {
  readonly lsn: Lsn;
  /** Milliseconds since 1970, with fractions. */
  readonly atMs: number;
}

/** A process that streams a server's log into a repository of its own, and takes base backups. It ends by `close()`, which removes what it stored. */
export class CaptureProcess {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #reports: DurableReport[][];

  /** Use `startCaptureProcess`. */
  constructor(child: ChildProcess, folder: string, streamCount: number) {
    this.#child = child;
    this.#folder = folder;
    this.#reports = Array.from({ length: streamCount }, () => []);
    child.on("message", (message: ChildMessage) => {
      if (message.kind === "durable")
        this.#reports[message.stream]?.push({ lsn: parseLsn(message.lsn), atMs: message.atMs });
    });
  }

  /** For each stream, in the order in which they came. */
  get reports(): readonly (readonly DurableReport[])[] {
    return this.#reports;
  }

  async backUp(): Promise<{ readonly storedBytes: number; readonly dataBytes: number }> {
    this.#send({ kind: "back up" });
    return this.#answer("backed up");
  }

  async usage(): Promise<Usage> {
    this.#send({ kind: "usage" });
    return this.#answer("usage");
  }

  async ready(): Promise<void> {
    await this.#answer("ready");
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, "exit");
      if (this.#child.connected) this.#child.disconnect();
      await exit;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  #send(message: ParentMessage): void {
    this.#child.send(message);
  }

  #answer<Kind extends ChildMessage["kind"]>(kind: Kind): Promise<Extract<ChildMessage, { kind: Kind }>> {
    return new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error(`The process of the capture ended before it was "${kind}"`));
      const onMessage = (message: ChildMessage): void => {
        if (message.kind !== kind) return;
        this.#child.off("exit", onExit);
        this.#child.off("message", onMessage);
        resolve(message as Extract<ChildMessage, { kind: Kind }>); // its kind was compared
      };
      this.#child.once("exit", onExit);
      this.#child.on("message", onMessage);
    });
  }
}

/**
 * Starts the process, and waits until all its streams have stored what the server had.
 *
 * @param options.streamCount replication slots on the one server, each received for itself
 * @param options.zstdLevel the platform's own when undefined
 */
export async function startCaptureProcess(
  cleanUp: CleanUp,
  server: PostgresServer,
  { streamCount, zstdLevel }: { readonly streamCount: number; readonly zstdLevel?: number },
): Promise<CaptureProcess> {
  const folder = await makeTempFolder(cleanUp);
  const identity = await generateX25519Identity();
  const place: CapturePlace = {
    socketFolder: server.folder,
    port: server.port,
    repositoryFolder: join(folder, "repository"),
    spoolFolder: join(folder, "spool"),
    recipient: await identityToRecipient(identity),
    identity,
    streamCount,
    ...(zstdLevel === undefined ? {} : { zstdLevel }),
  };
  const child = fork(fileURLToPath(import.meta.resolve("./capture-process.child.ts")), [JSON.stringify(place)]);
  const started = new CaptureProcess(child, folder, streamCount);
  cleanUp.after(() => started.close());
  await started.ready();
  return started;
}

/** Removes the slots that an ended process left, so that the server lets go of its log. */
export async function dropSlots(server: PostgresServer): Promise<void> {
  await server.waitUntil("select count(*) = 0 from pg_replication_slots where active");
  await server.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots");
}
