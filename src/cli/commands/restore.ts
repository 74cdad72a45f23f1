import { chmod, chown, mkdtemp, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { TidemarkError } from "../../core/errors.ts";
import { formatLsn, toTimelineId } from "../../core/lsn.ts";
import { type Programs, choosePrograms, findPrograms } from "../../postgres/programs.ts";
import type { PhysicalArchive } from "../../repository/physical-archive.ts";
import type { FileOwner } from "../../restore/owned-files.ts";
import type { Recovered } from "../../restore/recover.ts";
import { type PreparedRestore, executeRestore, prepareRestore } from "../../restore/restore.ts";
import type { RestoreTarget, TargetRequest } from "../../restore/target-request.ts";
import { parseTarget } from "../../restore/target-text.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { OFFLINE_OPTIONS, openOfflineArchive, openOfflineRepository } from "../offline-repository.ts";
import { createProgressDisplay } from "../progress-display.ts";
import { findRestoreOwner, requireReachable } from "../restore-owner.ts";
import { showPlan } from "../restore-text.ts";
import { snakeCaseNames } from "../snake-case.ts";

/** For the recovering server's socket, whose path has 107 bytes at most: short, and on every system. */
const RUN_FOLDER_PREFIX = "/tmp/tidemark-restore-";
const RUN_FOLDER_MODE = 0o700;
/** Of the servers that the platform makes, and of those that others make: who initdb's superuser usually is. */
const ROLES = ["tidemark", "postgres"] as const;
const MAJOR_DIVISOR = 10_000;

export const restore: CommandSpec = {
  name: "restore",
  group: "Platform",
  summary: "Restore a database's continuous backup into a folder, without a platform",
  details:
    "Needs the repository, the master key and PostgreSQL's programs of the same major version, nothing else. The folder becomes a PostgreSQL data " +
    "folder of its own, at exactly the moment that is asked for, on a timeline of its own; it is left stopped. The server that was backed up isn't touched: " +
    "tablespaces go into folders that you name, never where they were.",
  options: [
    ...OFFLINE_OPTIONS,
    { flags: "--database <id>", summary: "Whose backup, by its id in the repository" },
    { flags: "--to <folder>", summary: "The new data folder: absent or empty" },
    { flags: "--latest", summary: "To the last commit that is stored (when no other moment is given)" },
    {
      flags: "--at <time>",
      summary: 'To this time, with its zone: 2026-11-22T14:02:33.123456Z, "2026-11-22 15:02 Europe/Paris"',
    },
    { flags: "--lsn <position>", summary: "To the last record that begins at or before this position: 0/16B3748" },
    { flags: "--xid <number>", summary: "To the end of this transaction" },
    { flags: "--name <text>", summary: "To the restore point of this name (pg_create_restore_point)" },
    { flags: "--exclusive", summary: "Leave out what lies exactly at the time, position or transaction" },
    { flags: "--timeline <number>", summary: "Along this timeline (the newest)" },
    { flags: "--tablespace <oid=folder...>", summary: "Where a tablespace shall be; once for each" },
    {
      flags: "--owner <user>",
      summary: "For root: who shall own the folder and run PostgreSQL (tidemark, or postgres)",
    },
    {
      flags: "--role <name>",
      summary: "Any role of the database that may log in (tidemark or postgres, whichever there is)",
    },
    { flags: "--dry-run", summary: "Tell what would be done, and do nothing" },
  ],
  examples: [
    "restore --database ad-b0ab5d54-8f4b-4c0b-9a5b-0a8f3f0f6a11 --to /srv/restored --at 2026-11-22T14:00:00Z --dry-run",
    "restore --repository /mnt/repository --key /mnt/key --database ad-b0ab5d54-8f4b-4c0b-9a5b-0a8f3f0f6a11 --to /srv/restored --latest",
  ],
  async run(call) {
    const request = readRequest(call);
    const owner = call.flag("dry-run") ? undefined : await findRestoreOwner(call.option("owner"));
    const archive = await openOfflineArchive(await openOfflineRepository(call), request.databaseId, call.signal);
    const prepared = await prepareRestore(archive, request, { now: call.clock.now(), signal: call.signal });
    const { plan } = prepared;
    showPlan(call.output, request.databaseId, plan);
    if (call.flag("dry-run")) return call.output.json(snakeCaseNames({ plan }));
    for (const { folder } of [plan, ...plan.tablespaces]) await requireReachable(folder, owner);
    const programs = await findServerPrograms(call, plan.base.serverVersion);
    const recovered = await carryOut(call, archive, { prepared, programs, owner });
    const reached = { reachedLsn: formatLsn(recovered.lsn), timeline: recovered.timeline };
    call.output.json(snakeCaseNames({ plan, ...reached }));
    call.output.status(
      `Restored: ${plan.folder} is at ${formatLsn(recovered.lsn)}, on timeline ${recovered.timeline} of its own`,
    );
    call.output.info(
      "It is stopped. Its settings are those that lay in the original's data folder: before you start it, look at",
    );
    call.output.info(
      "port, listen_addresses, archive_command and pg_hba.conf, so that it doesn't get in the original's way:",
    );
    call.output.info(`${join(programs.binFolder, "pg_ctl")} --pgdata "${plan.folder}" start`);
  },
};

interface Request extends TargetRequest {
  readonly databaseId: string;
  readonly folder: string;
  readonly tablespaces: ReadonlyMap<string, string>;
}

function readRequest(call: CommandCall): Request {
  const timeline = call.option("timeline");
  return {
    databaseId: required(call, "database", "whose backup"),
    folder: resolve(required(call, "to", "where to")),
    tablespaces: new Map(call.options("tablespace").map((text) => readTablespace(text))),
    target: readTarget(call),
    ...(timeline === undefined ? {} : { timeline: toTimelineId(Number(timeline)) }),
  };
}

/** With the kinds of `parseTarget`. */
const MOMENT_OPTIONS = [
  { option: "at", kind: "time" },
  { option: "lsn", kind: "lsn" },
  { option: "xid", kind: "xid" },
  { option: "name", kind: "name" },
] as const;

function readTarget(call: CommandCall): RestoreTarget {
  const given = [
    ...(call.flag("latest") ? ["latest"] : []),
    ...MOMENT_OPTIONS.flatMap(({ option, kind }) => {
      const value = call.option(option);
      return value === undefined ? [] : [`${kind}:${value}`];
    }),
  ];
  if (given.length > 1)
    throw new TidemarkError("usage", "Only one of --latest, --at, --lsn, --xid and --name can be the moment");
  return parseTarget(given[0] ?? "latest", { isExclusive: call.flag("exclusive") });
}

function readTablespace(text: string): readonly [oid: string, folder: string] {
  const [, oid, folder] = /^(\d+)=(.+)$/.exec(text) ?? [];
  if (oid === undefined || folder === undefined)
    throw new TidemarkError("usage", `"${text}" names no tablespace and folder: write it as 16384=/srv/space`);
  return [oid, resolve(folder)];
}

function required(call: CommandCall, name: string, what: string): string {
  const value = call.option(name);
  if (value === undefined) throw new TidemarkError("usage", `Say ${what}: --${name}`);
  return value;
}

async function findServerPrograms({ settings }: CommandCall, serverVersion: number): Promise<Programs> {
  const search = settings.postgresqlBin === undefined ? {} : { namedFolder: settings.postgresqlBin };
  const found = await findPrograms({ path: settings.programPath, ...search });
  return choosePrograms(found, Math.floor(serverVersion / MAJOR_DIVISOR));
}

async function carryOut(
  call: CommandCall,
  archive: PhysicalArchive,
  work: { readonly prepared: PreparedRestore; readonly programs: Programs; readonly owner: FileOwner | undefined },
): Promise<Recovered> {
  const { prepared, programs, owner } = work;
  const role = call.option("role");
  const runFolder = await mkdtemp(RUN_FOLDER_PREFIX);
  const display = createProgressDisplay(call.streams.stderr, call.clock);
  let isReplaying = false;
  try {
    await chmod(runFolder, RUN_FOLDER_MODE);
    if (owner !== undefined) await chown(runFolder, owner.uid, owner.gid);
    return await executeRestore(archive, prepared, {
      programs,
      owner,
      runFolder,
      roles: role === undefined ? ROLES : [role],
      end: "open",
      clock: call.clock,
      pid: call.processId,
      signal: call.signal,
      onProgress: (progress) => {
        if (progress.phase === "fetch") return display.update(progress);
        if (!isReplaying) display.finish();
        isReplaying = true;
        const at = progress.replayed === undefined ? "starting" : formatLsn(progress.replayed);
        call.output.transient(`Replaying: ${at}, to ${formatLsn(progress.target)}`);
      },
    });
  } finally {
    call.output.transient("");
    await rm(runFolder, { recursive: true, force: true });
  }
}
