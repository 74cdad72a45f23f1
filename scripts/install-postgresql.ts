/**
 * Sees to it that PostgreSQL's programs (15 or later) are on this machine; `npm start` and `npm test` run it first.
 *
 *   node scripts/install-postgresql.ts
 *
 * Where they are missing it installs Debian's or Ubuntu's package, if it may: as root, or by sudo that asks for no
 * password. Otherwise it says what to type and exits 1. No cluster is created. TIDEMARK_POSTGRESQL_BIN names a folder
 * of programs to use instead.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { asTidemarkError } from "../src/core/errors.ts";
import { findPrograms } from "../src/postgres/programs.ts";
import { type InstallFacts, type InstallStep, planInstall } from "./install-plan.ts";

/** An installation downloads some 60 MB; on a slow line that takes many minutes, and only a hang takes this long. */
const STEP_TIMEOUT_MS = 1_800_000;
/** apt-get prints a few hundred lines. */
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

try {
  process.exitCode = await main();
} catch (error) {
  const { message, hint } = asTidemarkError(error);
  process.exitCode = refuse(hint === undefined ? message : `${message}\n${hint}`);
}

async function main(): Promise<number> {
  const isInstalled = await hasPrograms();
  const plan = planInstall(isInstalled ? { isInstalled, hasApt: false, right: "none" } : missingFacts());
  if (plan.action === "nothing") return 0;
  if (plan.action === "refuse") return refuse(plan.message);
  process.stderr.write("PostgreSQL is not installed: installing it with apt-get, which takes a minute or two\n");
  try {
    for (const step of plan.steps) {
      const failure = runStep(step);
      if (failure !== undefined) return refuse(failure);
    }
  } finally {
    plan.afterwards.forEach(runStep);
  }
  if (await hasPrograms()) return 0;
  return refuse(
    "The system's package of PostgreSQL is older than 15. The PostgreSQL project has newer ones:\n" +
      "sudo apt-get install -y postgresql-common && sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && sudo apt-get install -y postgresql-17",
  );
}

async function hasPrograms(): Promise<boolean> {
  const namedFolder = process.env.TIDEMARK_POSTGRESQL_BIN ?? "";
  const found = await findPrograms({ path: searchPath(), ...(namedFolder === "" ? {} : { namedFolder }) });
  return found.some((programs) => !programs.isServerOnly);
}

function missingFacts(): InstallFacts {
  const hasApt = existsSync("/etc/debian_version") && isOnPath("apt-get");
  if (process.getuid?.() === 0) return { isInstalled: false, hasApt, right: "root" };
  const maySudo = hasApt && isOnPath("sudo") && spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0;
  return { isInstalled: false, hasApt, right: maySudo ? "sudo" : "none" };
}

/** What went wrong, with the step's whole output; undefined when nothing did. */
function runStep({ command: [program, ...programArguments], input }: InstallStep): string | undefined {
  const { status, stdout, stderr, error } = spawnSync(program, programArguments, {
    encoding: "utf8",
    timeout: STEP_TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    ...(input === undefined ? { stdio: ["ignore", "pipe", "pipe"] as const } : { input }),
  });
  if (status === 0) return undefined;
  const outcome = error?.message ?? `exit code ${status}`;
  return `${stdout}${stderr}Cannot install PostgreSQL: ${[program, ...programArguments].join(" ")}: ${outcome}`;
}

function isOnPath(program: string): boolean {
  return searchPath()
    .split(delimiter)
    .some((folder) => folder !== "" && existsSync(join(folder, program)));
}

function searchPath(): string {
  return process.env.PATH ?? "";
}

function refuse(message: string): number {
  process.stderr.write(`${message}\n`);
  return 1;
}
