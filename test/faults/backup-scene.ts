import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before } from "node:test";
import { Client, type ClientConfig, type QueryResultRow } from "pg";
import type { z } from "zod";
import type { OperationTable } from "../../src/control/schema.ts";
import type { BackupJson } from "../../src/http/backups.ts";
import { isRecord, type Platform, type PlatformOptions, startPlatform, waitFor } from "../harness/platform.ts";
import type { CleanUp } from "../harness/temp-folder.ts";
import { contentsOf, restoreArchive } from "./restored-contents.ts";

export type Backup = z.infer<typeof BackupJson>;
/** What a test may ask of an operation's row. */
export type OperationFacts = Pick<OperationTable, "id" | "lease_owner" | "error_code" | "error_message"> & {
  readonly state: string;
  readonly attempt: number;
};

const APP = "shop";

/**
 * Two sequences, a large object, a small table, and one large enough that its dump can be met half-way: about 20 MB that hardly compress.
 */
const DATA = `
create table customers (id bigint generated always as identity primary key, name text not null);
insert into customers (name) select 'customer ' || n from generate_series(1, 500) as n;
create table notes (id bigint generated always as identity primary key, customer_id bigint references customers, body text);
insert into notes (customer_id, body)
select 1 + n % 500, (select string_agg(md5(n::text || ':' || k::text), '') from generate_series(1, 32) as k)
from generate_series(1, 20000) as n;
create sequence tickets start 4000;
select nextval('tickets'), lo_from_bytea(0, decode(repeat('00ff10', 20000), 'hex'));
create table locked (id int);
`;

/** A platform with one filled database: what each fault is brought upon. */
export class BackupScene {
  readonly platform: Platform;
  readonly addonId: string;
  readonly resourceId: string;
  readonly uri: string;

  constructor(platform: Platform, addon: { addonId: string; resourceId: string; uri: string }) {
    this.platform = platform;
    this.addonId = addon.addonId;
    this.resourceId = addon.resourceId;
    this.uri = addon.uri;
  }

  /** Words that name the database to the command line. */
  get onDatabase(): string[] {
    return ["--app", APP, "--addon", "postgresql"];
  }

  async createBackup(): Promise<string> {
    const reply = await this.platform.api("POST", `/api/databases/${this.addonId}/backups`);
    assert.equal(reply.status, 201, JSON.stringify(reply.body));
    return backupIn(reply.body).id;
  }

  async backup(id: string): Promise<Backup> {
    const reply = await this.platform.api("GET", `/api/backups/${id}`);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    return backupIn(reply.body);
  }

  /** Newest first. */
  async backups(): Promise<Backup[]> {
    const { body } = await this.platform.api("GET", `/api/databases/${this.addonId}/backups`);
    // The API's own description of its answer.
    return (body as { database_backups: Backup[] }).database_backups;
  }

  /** Waits until the backup has ended, well or not. A platform that can't answer for the moment is asked again. */
  async ended(id: string): Promise<Backup> {
    let last: Backup | undefined;
    await waitFor(
      async () => {
        last = await this.backup(id).catch(() => undefined);
        return last !== undefined && last.ended_at !== null;
      },
      `the end of backup ${id}`,
      120_000,
    );
    assert.ok(last !== undefined);
    return last;
  }

  /** What `GET` of the database says. */
  async databaseStatus(): Promise<string> {
    const { body } = await this.platform.api("GET", `/api/databases/${this.addonId}`);
    return isRecord(body) && isRecord(body["database"]) ? String(body["database"]["status"]) : JSON.stringify(body);
  }

  async operation(backupId: string): Promise<OperationFacts> {
    const [row] = await this.askControl<OperationFacts & QueryResultRow>(
      `select o.id, state, attempt, lease_owner, error_code, error_message
       from operations o join backups b on b.operation_id = o.id where b.id = $1`,
      [backupId],
    );
    assert.ok(row !== undefined, `the operation of backup ${backupId}`);
    return row;
  }

  /** One statement in the control database. */
  async askControl<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return await ask<Row>(await controlSuperuser(this.platform), text, values);
  }

  /** The database as its owner, by the address that the app is given. */
  get owner(): ClientConfig {
    const { hostname, port, username, password, pathname } = new URL(this.uri);
    return { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) };
  }

  /** The database's server as its superuser, by its socket. */
  superuser(database = this.resourceId): Promise<ClientConfig> {
    return this.platform.superuser(this.addonId, database);
  }

  /** Restores the backup beside its database; both must hold the same. */
  async assertRestoresEqual(cleanUp: CleanUp, backupId: string): Promise<void> {
    const reply = await this.platform.api("GET", `/api/databases/${this.addonId}/backups/${backupId}/archive`);
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
    const url = isRecord(reply.body) ? String(reply.body["download_url"]) : "";
    const database = `restored_${backupId}`;
    const target = await this.superuser(database);
    await ask(await this.superuser("postgres"), `create database ${database} template template0`);
    await restoreArchive(cleanUp, { url, target });
    assert.deepEqual(await contentsOf(target), await contentsOf(await this.superuser()));
    await ask(await this.superuser("postgres"), `drop database ${database} with (force)`);
  }

  /** Archives that the repository lists, with or without a manifest. An unfinished upload is none. */
  async archives(): Promise<string[]> {
    const folder = join(this.platform.home, "repository/databases", this.addonId, "logical/archives");
    return await readdir(folder).catch(() => []);
  }

  /** A backup that nothing disturbs: the proof that what happened before has left nothing behind. */
  async assertNextBackupWorks(cleanUp: CleanUp): Promise<void> {
    const id = await this.createBackup();
    const backup = await this.ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    await this.assertRestoresEqual(cleanUp, id);
  }
}

/** One scene for all tests of a file: made before the first, ended after the last. */
export function sharedBackupScene(options: PlatformOptions = {}): () => BackupScene {
  let scene: BackupScene | undefined;
  const cleanUps: (() => Promise<void>)[] = [];
  before(async () => {
    scene = await openBackupScene({ after: (clean) => cleanUps.unshift(clean) }, options);
  });
  after(async () => {
    for (const clean of cleanUps) await clean();
  });
  return () => {
    assert.ok(scene !== undefined, "the scene is made before the tests");
    return scene;
  };
}

async function openBackupScene(cleanUp: CleanUp, options: PlatformOptions = {}): Promise<BackupScene> {
  const platform = await startPlatform(cleanUp, options);
  const scene = new BackupScene(platform, await platform.provision(APP));
  await ask(scene.owner, DATA);
  return scene;
}

/** A session that keeps a dump waiting: it holds the table `locked` until `release()` or the end of the test. */
export async function holdLock(
  cleanUp: CleanUp,
  { owner }: BackupScene,
): Promise<{ readonly pid: number; release(): Promise<void> }> {
  const client = new Client(owner);
  // Its server may be what the test kills.
  client.on("error", () => undefined);
  await client.connect();
  let held = true;
  const release = async (): Promise<void> => {
    if (held) await client.end();
    held = false;
  };
  cleanUp.after(release);
  await client.query("begin");
  await client.query("lock table locked in access exclusive mode");
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  return { pid: rows[0]?.pid ?? 0, release };
}

/** Waits until a dump of this database waits for a lock. */
export async function untilDumpIsBlocked(scene: BackupScene): Promise<void> {
  await waitFor(async () => {
    const rows = await ask(
      await scene.superuser(),
      "select from pg_stat_activity where application_name like 'tidemark-dump-%' and wait_event_type = 'Lock'",
    );
    return rows.length > 0;
  }, "a dump that waits for a lock");
}

/** One statement on a connection of its own. */
export async function ask<Row extends QueryResultRow>(
  config: ClientConfig,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new Client(config);
  client.on("error", () => undefined);
  await client.connect();
  try {
    // The multi-statement form gives a list of results, which no caller reads.
    return (await client.query<Row>(text, values.length === 0 ? undefined : values)).rows;
  } finally {
    await client.end();
  }
}

/** Process id of the control database's postmaster. */
export async function controlServerPid(platform: Platform): Promise<number> {
  return Number((await controlLines(platform))[0]);
}

/** For `pg`: the control database as its superuser. */
export async function controlSuperuser(platform: Platform): Promise<ClientConfig> {
  const [, , , port, host = ""] = await controlLines(platform);
  return { host, port: Number(port), user: "tidemark", database: "tidemark" };
}

async function controlLines({ home }: Platform): Promise<string[]> {
  return (await readFile(join(home, "control/data/postmaster.pid"), "utf8")).split("\n");
}

function backupIn(body: unknown): Backup {
  // The API's own description of its answer.
  return (body as { database_backup: Backup }).database_backup;
}
