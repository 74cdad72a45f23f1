/**
 * Sees to it that the programs of other projects that we use are on this machine; `npm start` and `npm test` run it first.
 *
 *   node scripts/install-packages.ts               PostgreSQL 15 or later, and bubblewrap
 *   node scripts/install-packages.ts --for-tests   OpenSSH's client and Chromium as well
 *
 * Where they are missing it installs Debian's or Ubuntu's packages, if it may: as root, or by sudo that asks for no
 * password. Otherwise it says what to type. Without PostgreSQL it exits 1; without the others, what needs them is
 * missing, which a line on standard error says. No cluster is created. TIDEMARK_POSTGRESQL_BIN names a folder of
 * PostgreSQL's programs to use instead.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { asTidemarkError } from "../src/core/errors.ts";
import { findPrograms } from "../src/postgres/programs.ts";
import {
  type InstallFacts,
  type InstallStep,
  PACKAGES,
  planInstall,
  type SystemPackage,
  warningOf,
} from "./install-plan.ts";

/** An installation downloads some 60 MB, Chromium twice that; on a slow line that takes many minutes, and only a hang takes this long. */
const STEP_TIMEOUT_MS = 1_800_000;
/** apt-get prints a few hundred lines. */
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

try {
  process.exitCode = await main(process.argv.includes("--for-tests"));
} catch (error) {
  const { message, hint } = asTidemarkError(error);
  process.exitCode = refuse(hint === undefined ? message : `${message}\n${hint}`);
}

async function main(forTests: boolean): Promise<number> {
  const missing = await findMissing(forTests);
  const plan = planInstall(missing.length === 0 ? { missing, hasApt: false, right: "none" } : machineFacts(missing));
  if (plan.action === "nothing") return 0;
  if (plan.action === "refuse") return refuse(plan.message);
  if (plan.action === "warn") return say(plan.warnings);
  const names = missing.map(({ name }) => name).join(", ");
  say([`Installing with apt-get, which takes a minute or two: ${names}`]);
  const isNeeded = missing.some((each) => each.isNeeded);
  try {
    for (const step of plan.steps) {
      const failure = runStep(step);
      if (failure === undefined) continue;
      if (step.installs?.isNeeded ?? isNeeded) return refuse(failure);
      if (step.installs !== undefined) say([warningOf(step.installs)]);
    }
  } finally {
    plan.afterwards.forEach(runStep);
  }
  if (await hasPostgresql()) return 0;
  return refuse(
    "The system's package of PostgreSQL is older than 15. The PostgreSQL project has newer ones:\n" +
      "sudo apt-get install -y postgresql-common && sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && sudo apt-get install -y postgresql-17",
  );
}

async function findMissing(forTests: boolean): Promise<SystemPackage[]> {
  const missing: SystemPackage[] = (await hasPostgresql()) ? [] : [PACKAGES.postgresql];
  // Only Linux has what bubblewrap is made of.
  const wanted = process.platform === "linux" ? [PACKAGES.bubblewrap] : [];
  const all = forTests ? [...wanted, PACKAGES.openssh, PACKAGES.chromium] : wanted;
  return [...missing, ...all.filter(({ programs }) => !programs.some(isOnPath))];
}

async function hasPostgresql(): Promise<boolean> {
  const namedFolder = process.env.TIDEMARK_POSTGRESQL_BIN ?? "";
  const found = await findPrograms({ path: searchPath(), ...(namedFolder === "" ? {} : { namedFolder }) });
  return found.some((programs) => !programs.isServerOnly);
}

function machineFacts(missing: readonly SystemPackage[]): InstallFacts {
  const hasApt = existsSync("/etc/debian_version") && isOnPath("apt-get");
  if (process.getuid?.() === 0) return { missing, hasApt, right: "root" };
  const maySudo = hasApt && isOnPath("sudo") && spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0;
  return { missing, hasApt, right: maySudo ? "sudo" : "none" };
}

/** What went wrong, with the step's whole output; undefined when nothing did. */
function runStep({ command: [program, ...programArguments], input, installs }: InstallStep): string | undefined {
  const { status, stdout, stderr, error } = spawnSync(program, programArguments, {
    encoding: "utf8",
    timeout: STEP_TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    ...(input === undefined ? { stdio: ["ignore", "pipe", "pipe"] as const } : { input }),
  });
  if (status === 0) return undefined;
  const outcome = error?.message ?? `exit code ${status}`;
  const what = installs?.name ?? "PostgreSQL";
  return `${stdout}${stderr}Cannot install ${what}: ${[program, ...programArguments].join(" ")}: ${outcome}`;
}

function isOnPath(program: string): boolean {
  return searchPath()
    .split(delimiter)
    .some((folder) => folder !== "" && existsSync(join(folder, program)));
}

function searchPath(): string {
  return process.env.PATH ?? "";
}

/** Lines for people; the exit code that goes on. */
function say(lines: readonly string[]): number {
  process.stderr.write(lines.map((line) => `${line}\n`).join(""));
  return 0;
}

function refuse(message: string): number {
  say([message]);
  return 1;
}
