/**
 * Our side of a bench as a process of its own, so that its time and memory can be told from the bench's. Its one argument is JSON, a `CapturePlace`; it
 * speaks with its parent (capture-process.ts) over the channel of `fork`, and ends when that closes.
 */
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { captureBaseBackup } from "../src/capture/base-backup.ts";
import { ByteBudget } from "../src/capture/wal/byte-budget.ts";
import { UPLOAD_BUDGET_DEFAULT_BYTES, type WalReceiver, startWalReceiver } from "../src/capture/wal/wal-receiver.ts";
import { systemClock } from "../src/core/clock.ts";
import { newObjectId } from "../src/core/ids.ts";
import { formatLsn } from "../src/core/lsn.ts";
import { type PhysicalArchive, openPhysicalArchive } from "../src/repository/physical-archive.ts";
import { openRepository } from "../src/repository/repository.ts";
import { openFolderStore } from "../src/storage/folder-store.ts";
import type { CapturePlace, ChildMessage, ParentMessage } from "./capture-process.ts";

interface Stream {
  readonly archive: PhysicalArchive;
  readonly receiver: WalReceiver;
}

const [, , argument = "{}"] = process.argv;
const place: CapturePlace = JSON.parse(argument) as CapturePlace; // written by the parent
const client = { host: place.socketFolder, port: place.port, user: "postgres", database: "postgres" };
const closing = new AbortController();
const streams = await openStreams();
const reports = streams.map(({ receiver }, stream) => reportDurable(receiver, stream));
process.on("message", (message: ParentMessage) => void answer(message));
send({ kind: "ready" });

await once(process, "disconnect");
closing.abort();
await Promise.allSettled(reports);
await Promise.all(streams.map(({ receiver }) => receiver.close()));

/** All at once; ready when each has stored what the server had. */
async function openStreams(): Promise<Stream[]> {
  const repository = await openRepository(await openFolderStore(place.repositoryFolder), {
    create: { id: "bench", now: new Date() },
  });
  // One for all, or their uploads together have no bound.
  const uploadBudget = new ByteBudget(UPLOAD_BUDGET_DEFAULT_BYTES);
  const opened = Array.from({ length: place.streamCount }, (_, index) => {
    const archive = openPhysicalArchive({
      repository,
      databaseId: `ad-bench-${index}`,
      recipients: [place.recipient],
      identity: place.identity,
      framesInFlight: availableParallelism() + 1,
      ...(place.zstdLevel === undefined ? {} : { zstdLevel: place.zstdLevel }),
    });
    const receiver = startWalReceiver({
      archive,
      target: { client, applicationName: "tidemark_bench" },
      slotName: `bench_${index}`,
      spoolFolder: join(place.spoolFolder, String(index)),
      clock: systemClock,
      uploadBudget,
      onIncident: (incident) => void process.stderr.write(`stream ${index}: ${incident.kind}\n`),
    });
    return { archive, receiver };
  });
  const isReady = (receiver: WalReceiver): Promise<void> =>
    receiver.when(({ state, durable }) => state === "streaming" && durable !== undefined, closing.signal);
  await Promise.all(opened.map(({ receiver }) => isReady(receiver)));
  return opened;
}

async function reportDurable(receiver: WalReceiver, stream: number): Promise<void> {
  for (let reported = 0n; ;) {
    await receiver.when(({ durable }) => durable !== undefined && durable.lsn > reported, closing.signal);
    const lsn = receiver.status.durable?.lsn;
    if (lsn === undefined) continue;
    reported = lsn;
    send({ kind: "durable", stream, lsn: formatLsn(lsn), atMs: performance.timeOrigin + performance.now() });
  }
}

async function answer(message: ParentMessage): Promise<void> {
  if (message.kind === "back up") send(await backUp());
  else {
    const { user, system } = process.cpuUsage();
    send({
      kind: "usage",
      processorSeconds: (user + system) / 1e6,
      memoryBytes: process.memoryUsage.rss(),
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    });
  }
}

async function backUp(): Promise<ChildMessage> {
  const [stream] = streams;
  const { lineage, systemId } = stream?.receiver.status ?? {};
  if (stream === undefined || lineage === undefined || systemId === undefined) throw new Error("no stream is open");
  const manifest = await captureBaseBackup(
    stream.archive,
    {
      backupId: newObjectId(new Date()),
      lineage,
      systemId,
      label: "tidemark bench",
      checkpoint: "fast",
      target: { client, applicationName: "tidemark_bench_base" },
      clock: systemClock,
      waitForWal: (range, signal) => stream.receiver.waitForRange(range, signal),
    },
    closing.signal,
  );
  const storedBytes = manifest.volumes.reduce((sum, volume) => sum + volume.storedBytes, 0);
  return { kind: "backed up", storedBytes, dataBytes: manifest.dataBytes };
}

function send(message: ChildMessage): void {
  // The bench may have ended and taken the channel with it.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
