import { spawn } from "node:child_process";
import { once } from "node:events";
import { serverUser } from "../test/harness/postgres-server.ts";
import { processorSeconds, treeProcessorSeconds, watchMemory } from "./process-usage.ts";
import { median } from "./statistics.ts";

/** What a contender knows of its own run. */
export interface Outcome {
  /** Of what it stored. */
  readonly sizeBytes: number;
  /** Set by one whose process lives on; otherwise this process and its ended children are counted. */
  readonly processorSeconds?: number;
  readonly peakMemoryBytes?: number;
}

export interface Contender {
  readonly name: string;
  /** Before each run, not measured. */
  prepare?(): Promise<void>;
  /** Takes one backup. */
  run(): Promise<Outcome>;
  /** After each run, not measured. */
  clear?(): Promise<void>;
}

/** Medians over the rounds. */
export interface Result {
  readonly name: string;
  readonly seconds: number;
  readonly processorSeconds: number;
  /** Of the server and everything it started; not a number when no server was named. */
  readonly serverSeconds: number;
  readonly peakMemoryBytes: number;
  readonly sizeBytes: number;
}

type Measurement = Omit<Result, "name">;

export interface Race {
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  /** The postmaster, whose processor time is counted apart. */
  readonly serverPid?: number;
  readonly write: (text: string) => void;
}

/** Lets the contenders run one after the other, round by round, so that a machine's moods meet all of them. */
export async function race({ contenders, rounds, serverPid, write }: Race): Promise<readonly Result[]> {
  const all = contenders.map((contender) => ({ contender, measurements: [] as Measurement[] }));
  for (let round = 1; round <= rounds; round++) {
    for (const { contender, measurements } of all) {
      await contender.prepare?.();
      const measurement = await measure(contender, serverPid).finally(() => contender.clear?.());
      measurements.push(measurement);
      write(`round ${round}  ${contender.name}: ${measurement.seconds.toFixed(1)} s\n`);
    }
  }
  return all.map(({ contender: { name }, measurements }) => {
    const middle = (key: keyof Measurement): number => median(measurements.map((each) => each[key]));
    return {
      name,
      seconds: middle("seconds"),
      processorSeconds: middle("processorSeconds"),
      serverSeconds: middle("serverSeconds"),
      peakMemoryBytes: middle("peakMemoryBytes"),
      sizeBytes: middle("sizeBytes"),
    };
  });
}

/** Runs a line of bash as the servers' user. @returns the peak of its memory */
export async function inShell(command: string): Promise<{ readonly peakMemoryBytes: number }> {
  const child = spawn("bash", ["-o", "pipefail", "-c", command], {
    stdio: ["ignore", "inherit", "inherit"],
    ...(await serverUser()),
  });
  const stopWatching = child.pid === undefined ? () => 0 : watchMemory(child.pid);
  const [code] = await once(child, "exit").finally(stopWatching);
  if (code !== 0) throw new Error(`It failed: ${command}`);
  return { peakMemoryBytes: stopWatching() };
}

async function measure(contender: Contender, serverPid: number | undefined): Promise<Measurement> {
  const serverBefore = await serverProcessorSeconds(serverPid);
  const processorBefore = await processorSeconds();
  const began = performance.now();
  const outcome = await contender.run();
  const seconds = (performance.now() - began) / 1000;
  return {
    seconds,
    processorSeconds: outcome.processorSeconds ?? (await processorSeconds()) - processorBefore,
    serverSeconds: (await serverProcessorSeconds(serverPid)) - serverBefore,
    peakMemoryBytes: outcome.peakMemoryBytes ?? Number.NaN,
    sizeBytes: outcome.sizeBytes,
  };
}

async function serverProcessorSeconds(pid: number | undefined): Promise<number> {
  return pid === undefined ? Number.NaN : treeProcessorSeconds(pid);
}
