import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { baseBackup } from "../../src/postgres/replication/base-backup.ts";
import { identifySystem } from "../../src/postgres/replication/commands.ts";
import { openReplicationConnection } from "../../src/postgres/replication/replication-connection.ts";
import { serverUser, startPostgresServer } from "../harness/postgres-server.ts";

const APPLICATION = { applicationName: "tidemark_test" };
const server = await startPostgresServer({ after }, { tcp: true });
const certificate = await makeCertificate();
await server.stop();
await server.start([
  "-c",
  "ssl=on",
  "-c",
  `ssl_cert_file=${certificate.path}`,
  "-c",
  `ssl_key_file=${certificate.keyPath}`,
]);
await server.query("create role replicator login replication password 'right'");

/** Signed by itself, for localhost. */
async function makeCertificate(): Promise<{ readonly path: string; readonly keyPath: string; readonly pem: string }> {
  const path = join(server.folder, "server.crt");
  const keyPath = join(server.folder, "server.key");
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const output = ["-days", "2", "-keyout", keyPath, "-out", path];
  await promisify(execFile)("openssl", ["req", "-x509", ...key, ...subject, ...output], await serverUser());
  return { path, keyPath, pem: await readFile(path, "utf8") };
}

test("a role with REPLICATION and nothing more takes a base backup over TLS with SCRAM", async (t) => {
  const connection = await openReplicationConnection({
    ...APPLICATION,
    client: {
      host: "localhost",
      port: server.port,
      user: "replicator",
      password: "right",
      ssl: { ca: certificate.pem, servername: "localhost" },
    },
  });
  t.after(() => connection.close());
  const encrypted = await server.value(
    "select ssl.ssl from pg_stat_ssl ssl join pg_stat_activity using (pid) where application_name = $1",
    [APPLICATION.applicationName],
  );
  assert.equal(encrypted, "true");
  assert.equal((await identifySystem(connection)).timeline, 1);
  let dataBytes = 0;
  for await (const event of baseBackup(connection, { label: "tls", checkpoint: "fast" }))
    if (event.kind === "data") dataBytes += event.bytes.length;
  assert.ok(dataBytes > 10_000_000);
});

test("openReplicationConnection() refuses a server whose certificate it can't trust", async () => {
  const client = { host: "localhost", port: server.port, user: "replicator", password: "right", ssl: true };
  await assert.rejects(openReplicationConnection({ ...APPLICATION, client }), (error) => {
    assert.ok(error instanceof Error);
    assert.ok(!error.message.includes("right"));
    return true;
  });
});
