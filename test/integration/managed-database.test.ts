import assert from "node:assert/strict";
import { readFile, readdir, stat } from "node:fs/promises";
import type { TLSSocket } from "node:tls";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { Client, DatabaseError } from "pg";
import { isErrorCode } from "../../src/core/errors.ts";
import {
  type ManagedDatabase,
  type ManagedHost,
  backupConnection,
  ownerConnection,
  prepareManagedServer,
  provisionManagedDatabase,
  removeManagedDatabase,
  renewCertificate,
  replicationConnection,
} from "../../src/instances/managed-database.ts";
import { findServer, stopServer } from "../../src/instances/server.ts";
import { logFile, superuserConnection } from "../../src/instances/server-definition.ts";
import { type Connection, clientConfig, withSession } from "../../src/postgres/connection.ts";
import { listExtensions, readServerVersion } from "../../src/postgres/server-facts.ts";
import { freePort, makeManagedMachine } from "../harness/managed-machine.ts";

const PASSWORDS = { owner: "owner-secret-1", backup: "backup-secret-2", replication: "replication-secret-3" };
const session = { applicationName: "test" };
/** PostgreSQL's SQLSTATE codes. */
const INSUFFICIENT_PRIVILEGE = "42501";
const WRONG_PASSWORD = "28P01";
const READ_ONLY_TRANSACTION = "25006";

async function makeDatabase(machine: ManagedHost, change: Partial<ManagedDatabase> = {}): Promise<ManagedDatabase> {
  return {
    addonId: "ad-0b0a5a2e-5f4e-4c3a-9d3e-000000000001",
    name: "my_app_4553",
    major: machine.installed[0]?.major ?? 15,
    port: await freePort(),
    memoryBytes: 512 * 1024 * 1024,
    walProtection: "database",
    dataFolderName: "data",
    forcesTls: false,
    isPublic: false,
    ...change,
  };
}

async function provisioned(t: TestContext): Promise<{ machine: ManagedHost; database: ManagedDatabase }> {
  const machine = await makeManagedMachine(t);
  const database = await makeDatabase(machine);
  await provisionManagedDatabase(machine, database, { passwords: PASSWORDS });
  return { machine, database };
}

async function query(connection: Connection, sql: string): Promise<Record<string, unknown>[]> {
  return withSession(connection, session, async (client) => (await client.query<Record<string, unknown>>(sql)).rows);
}

/** Rejects with that SQLSTATE. */
async function refuses(work: Promise<unknown>, state: string, what?: string): Promise<void> {
  await assert.rejects(work, (error) => error instanceof DatabaseError && error.code === state, what);
}

describe("provisionManagedDatabase()", () => {
  test("makes a database that its owner reaches with a password, over TLS that the authority vouches for", async (t) => {
    const { machine, database } = await provisioned(t);
    const { certificatePem, certificateFile } = machine.authority;
    const tls = { mode: "verify-full", authorityPem: certificatePem, authorityFile: certificateFile } as const;
    const owner = { ...ownerConnection(machine, database, PASSWORDS.owner), host: "127.0.0.1", tls };
    const [row] = await query(
      owner,
      "select current_user, current_database(), (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as ssl",
    );
    assert.deepEqual(row, { current_user: "my_app_4553", current_database: "my_app_4553", ssl: true });
    await query({ ...owner, host: "localhost" }, "select 1");
    await query({ ...owner, tls: { mode: "disable" } }, "select 1");
    await refuses(query({ ...owner, password: "wrong" }, "select 1"), WRONG_PASSWORD);
    const stranger = { ...clientConfig(owner), ssl: { ca: await strangersCertificate(t), rejectUnauthorized: true } };
    await assert.rejects(new Client(stranger).connect(), { code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" });
  });

  test("can be repeated, keeps what is there and sets a changed password", async (t) => {
    const { machine, database } = await provisioned(t);
    const owner = ownerConnection(machine, database, PASSWORDS.owner);
    await query(owner, "create table kept (id int)");
    const first = await provisionManagedDatabase(machine, database, { passwords: PASSWORDS });
    await query(owner, "select * from kept");
    const changed = { ...PASSWORDS, owner: "another-secret" };
    assert.deepEqual(await provisionManagedDatabase(machine, database, { passwords: changed }), first);
    assert.match(first.systemIdentifier, /^\d{18,20}$/);
    await query({ ...owner, password: changed.owner }, "select * from kept");
    await refuses(query(owner, "select 1"), WRONG_PASSWORD);
  });

  test("goes on from wherever it was cancelled", async (t) => {
    const machine = await makeManagedMachine(t);
    const database = await makeDatabase(machine);
    // Each round gets further: the time before the cancellation grows until one round is done.
    for (let timeMs = 1, isDone = false; !isDone; timeMs = Math.ceil(timeMs * 1.3)) {
      const signal = AbortSignal.timeout(timeMs);
      try {
        await provisionManagedDatabase(machine, database, { passwords: PASSWORDS, signal });
        isDone = true;
      } catch (error) {
        assert.equal(error, signal.reason);
      }
    }
    await query(ownerConnection(machine, database, PASSWORDS.owner), "create table t (id int)");
  });

  test("completes what a killed call left half done", async (t) => {
    const machine = await makeManagedMachine(t);
    const database = await makeDatabase(machine);
    await provisionManagedDatabase(machine, database, { passwords: PASSWORDS });
    const superuser = superuserConnection(await prepareManagedServer(machine, database));
    await query(superuser, "drop database my_app_4553");
    await query(superuser, "alter role tidemark_backup nologin nobypassrls password null");
    await query(superuser, "drop role tidemark_replication").catch(async () => {
      await query(superuser, "drop owned by tidemark_replication");
      await query(superuser, "drop role tidemark_replication");
    });
    await provisionManagedDatabase(machine, database, { passwords: PASSWORDS });
    await query(backupConnection(machine, database, PASSWORDS.backup), "select 1");
    await query(replicationConnection(machine, database, PASSWORDS.replication), "select 1");
  });

  test("keeps passwords out of the server's log and files, which only the service user can read", async (t) => {
    const { machine, database } = await provisioned(t);
    const server = await prepareManagedServer(machine, database);
    await query(superuserConnection(server), "alter system set log_statement = 'all'");
    await query(superuserConnection(server), "select pg_reload_conf()");
    const changed = { owner: "changed-owner", backup: "changed-backup", replication: "changed-replication" };
    await provisionManagedDatabase(machine, database, { passwords: changed });
    const log = await readFile(logFile(server), "utf8");
    assert.match(log, /statement: ALTER ROLE/);
    for (const secret of [...Object.values(changed), ...Object.values(PASSWORDS)]) assert.ok(!log.includes(secret));
    assert.equal((await stat(logFile(server))).mode & 0o007, 0);
    assert.equal((await stat(server.dataFolder)).mode & 0o077, 0);
    for (const name of await readdir(join(server.folder, "tls")))
      assert.equal((await stat(join(server.folder, "tls", name))).mode & 0o007, 0, name);
  });

  test("sets the server up for continuous backups, with checksums and WAL compression", async (t) => {
    const { machine, database } = await provisioned(t);
    const server = await prepareManagedServer(machine, database);
    const [row] = await query(
      superuserConnection(server),
      `select current_setting('wal_level') as wal_level, current_setting('data_checksums') as data_checksums,
              current_setting('wal_compression') as wal_compression, current_setting('shared_buffers') as shared_buffers,
              current_setting('track_commit_timestamp') as track_commit_timestamp, current_setting('max_slot_wal_keep_size') <> '-1' as bounded`,
    );
    assert.deepEqual(row, {
      wal_level: "replica",
      data_checksums: "on",
      wal_compression: "lz4",
      shared_buffers: "128MB",
      track_commit_timestamp: "on",
      bounded: true,
    });
  });
});

describe("a managed database's owner", () => {
  test("makes schemas and trusted extensions, and nothing that reaches beyond the database", async (t) => {
    const { machine, database } = await provisioned(t);
    const owner = ownerConnection(machine, database, PASSWORDS.owner);
    for (const allowed of [
      "create extension pgcrypto",
      "create schema reports",
      "create table public.t (id int)",
      "drop schema public cascade",
      "create schema public",
      "alter database my_app_4553 set work_mem = '8MB'",
      "select lo_create(0)",
    ])
      await query(owner, allowed);
    for (const forbidden of [
      "create extension dblink",
      "create role another",
      "create database another",
      "alter role my_app_4553 superuser",
      "alter role my_app_4553 createrole",
      "alter role tidemark_backup password 'mine'",
      "set role tidemark_backup",
      "create tablespace t location '/tmp'",
      "select pg_read_file('/etc/passwd')",
      "copy (select 1) to '/tmp/tidemark-owner-wrote'",
      "copy (select 1) to program 'id'",
      "alter system set fsync = off",
      "select * from pg_authid",
    ])
      await refuses(query(owner, forbidden), INSUFFICIENT_PRIVILEGE, forbidden);
  });

  test("is the only one, with the backup role, who can connect, and to no other database", async (t) => {
    const { machine, database } = await provisioned(t);
    const superuser = superuserConnection(await prepareManagedServer(machine, database));
    await query(superuser, "create role outsider login password 'outsider'");
    const outsider = { ...ownerConnection(machine, database, "outsider"), user: "outsider" };
    await refuses(query(outsider, "select 1"), INSUFFICIENT_PRIVILEGE);
    const replication = replicationConnection(machine, database, PASSWORDS.replication);
    await refuses(query({ ...replication, database: database.name }, "select 1"), INSUFFICIENT_PRIVILEGE);
    const owner = ownerConnection(machine, database, PASSWORDS.owner);
    for (const other of ["postgres", "template1"])
      await refuses(query({ ...owner, database: other }, "select 1"), INSUFFICIENT_PRIVILEGE, other);
  });

  test("can't become the platform's superuser over the network or with a password", async (t) => {
    const { database } = await provisioned(t);
    for (const host of ["127.0.0.1", "localhost"]) {
      const attempt = query(
        { host, port: database.port, user: "tidemark", password: "", database: "postgres" },
        "select 1",
      );
      await refuses(attempt, "28000", host);
    }
  });
});

describe("the roles for backups", () => {
  test("the backup role reads what nobody granted it, row security and large objects too, and changes no row by a slip", async (t) => {
    const { machine, database } = await provisioned(t);
    const owner = ownerConnection(machine, database, PASSWORDS.owner);
    await query(owner, "create schema hidden");
    await query(owner, "create table hidden.t (id int generated always as identity, word text)");
    await query(owner, "insert into hidden.t (word) values ('a'), ('b')");
    await query(owner, "alter table hidden.t enable row level security, force row level security");
    await query(owner, "select lo_from_bytea(4711, 'large')");
    const backup = backupConnection(machine, database, PASSWORDS.backup);
    assert.deepEqual(await query(backup, "select count(*)::int as n from hidden.t"), [{ n: 2 }]);
    assert.deepEqual(await query(backup, "select last_value::int as n from hidden.t_id_seq"), [{ n: 2 }]);
    assert.deepEqual(await query(backup, "select convert_from(lo_get(4711), 'UTF8') as text"), [{ text: "large" }]);
    await refuses(query(backup, "delete from hidden.t"), READ_ONLY_TRANSACTION);
  });

  test("the replication role speaks the replication protocol and reads no table", async (t) => {
    const { machine, database } = await provisioned(t);
    await query(ownerConnection(machine, database, PASSWORDS.owner), "create table t (id int)");
    const connection = replicationConnection(machine, database, PASSWORDS.replication);
    for (const host of [machine.runtimeFolder, "127.0.0.1"]) {
      // node-postgres sends what it is given as `replication` in its first message, though its types don't name it.
      const client = new Client({ ...clientConfig({ ...connection, host }), replication: "true" } as object);
      await client.connect();
      const { rows } = await client.query<{ systemid: string }>("IDENTIFY_SYSTEM");
      assert.match(rows[0]?.systemid ?? "", /^\d+$/);
      await client.end();
    }
    await refuses(query(connection, "select * from pg_authid"), INSUFFICIENT_PRIVILEGE);
    await refuses(query(connection, "create role another"), INSUFFICIENT_PRIVILEGE);
  });
});

describe("removeManagedDatabase()", () => {
  test("leaves nothing, and may be repeated", async (t) => {
    const { machine, database } = await provisioned(t);
    const server = await prepareManagedServer(machine, database);
    await removeManagedDatabase(machine, database);
    assert.equal(await findServer(server), undefined);
    assert.deepEqual(await readdir(join(machine.home, "databases")), []);
    assert.deepEqual(await readdir(machine.runtimeFolder), []);
    await removeManagedDatabase(machine, database);
  });

  test("ends a server whose postmaster was killed", async (t) => {
    const { machine, database } = await provisioned(t);
    const pid = (await findServer(await prepareManagedServer(machine, database)))?.pid;
    assert.ok(pid !== undefined);
    process.kill(pid, "SIGKILL");
    await removeManagedDatabase(machine, database);
    assert.deepEqual(await readdir(join(machine.home, "databases")), []);
    assert.deepEqual(await readdir(machine.runtimeFolder), []);
  });
});

describe("prepareManagedServer()", () => {
  test("says that the programs of a database's major version are gone", async (t) => {
    const machine = await makeManagedMachine(t);
    const database = await makeDatabase(machine, { major: 16 });
    const onlyOlder = { ...machine, installed: machine.installed.filter(({ major }) => major !== 16) };
    await assert.rejects(prepareManagedServer(onlyOlder, database), (error) => isErrorCode(error, "programs_missing"));
  });
});

describe("renewCertificate()", () => {
  test("gives a running server a certificate that holds for another year", async (t) => {
    const { machine, database } = await provisioned(t);
    const end = async (): Promise<number> => Date.parse(await offeredCertificateEnd(machine, database));
    const firstEnd = await end();
    assert.equal(await renewCertificate(machine, database), "kept");
    const elevenMonths = {
      ...machine,
      clock: { ...machine.clock, now: () => new Date(Date.now() + 340 * 86_400_000) },
    };
    assert.equal(await renewCertificate(elevenMonths, database), "renewed");
    const deadline = Date.now() + 30_000;
    while ((await end()) <= firstEnd) assert.ok(Date.now() < deadline);
  });
});

describe("readServerVersion() and listExtensions()", () => {
  test("tell what any role may know", async (t) => {
    const { machine, database } = await provisioned(t);
    await withSession(ownerConnection(machine, database, PASSWORDS.owner), session, async (client) => {
      const version = await readServerVersion(client);
      assert.equal(version.major, database.major);
      assert.match(version.version, /^\d+(\.\d+)?/);
      assert.match(version.text, /^PostgreSQL /);
      const extensions = new Map((await listExtensions(client)).map((each) => [each.name, each]));
      assert.equal(extensions.get("pgcrypto")?.isTrusted, true);
      assert.equal(extensions.get("dblink")?.isTrusted, false);
      assert.equal(typeof extensions.get("plpgsql")?.installedVersion, "string");
      assert.equal(extensions.get("pgcrypto")?.installedVersion, null);
    });
  });

  test("withSession() says that nobody answers when the server is stopped", async (t) => {
    const { machine, database } = await provisioned(t);
    await stopServer(await prepareManagedServer(machine, database), { clock: machine.clock });
    for (const host of [machine.runtimeFolder, "127.0.0.1"]) {
      const attempt = query({ ...ownerConnection(machine, database, PASSWORDS.owner), host }, "select 1");
      await assert.rejects(attempt, (error) => isErrorCode(error, "server_not_running"));
    }
  });
});

async function strangersCertificate(t: TestContext): Promise<string> {
  return (await makeManagedMachine(t)).authority.certificatePem;
}

/** The end of validity of the certificate that the server shows to a new client. */
async function offeredCertificateEnd(machine: ManagedHost, database: ManagedDatabase): Promise<string> {
  // Not verified: the certificate of the far future is not valid yet.
  const owner = {
    ...ownerConnection(machine, database, PASSWORDS.owner),
    host: "127.0.0.1",
    tls: { mode: "require" },
  } as const;
  const client = new Client(clientConfig(owner));
  await client.connect();
  try {
    // The driver's stream is a TLS socket once connected; its types don't name it.
    const { connection } = client as unknown as { connection: { stream: TLSSocket } };
    return connection.stream.getPeerCertificate().valid_to;
  } finally {
    await client.end();
  }
}
