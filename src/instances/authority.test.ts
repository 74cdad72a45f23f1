import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { copyFile, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { isErrorCode } from "../core/errors.ts";
import { ensureServerCertificate, openAuthority } from "./authority.ts";
import { findServiceUser } from "./service-user.ts";

const NOW = new Date("2026-03-01T12:00:00Z");
const DAY_MS = 86_400_000;
const later = (days: number): Date => new Date(NOW.getTime() + days * DAY_MS);

async function certificate(folder: string): Promise<X509Certificate> {
  return new X509Certificate(await readFile(join(folder, "server.crt")));
}

test("openAuthority() makes an authority once, its key its owner's alone", async (t) => {
  const folder = join(await makeTempFolder(t), "authority");
  const first = await openAuthority({ folder, now: NOW });
  const second = await openAuthority({ folder, now: later(100) });
  assert.equal(second.certificatePem, first.certificatePem);
  assert.equal((await stat(join(folder, "ca.key"))).mode & 0o777, 0o600);
  const parsed = new X509Certificate(first.certificatePem);
  assert.equal(parsed.ca, true);
  assert.ok(Date.parse(parsed.validTo) > later(3649).getTime());
});

test("openAuthority() takes a key that never got its certificate for none", async (t) => {
  const folder = await makeTempFolder(t);
  await openAuthority({ folder, now: NOW });
  await rm(join(folder, "ca.crt"));
  const { certificatePem } = await openAuthority({ folder, now: NOW });
  assert.match(certificatePem, /BEGIN CERTIFICATE/);
});

test("openAuthority() refuses a certificate whose key is missing or another", async (t) => {
  const folder = await makeTempFolder(t);
  const other = await makeTempFolder(t);
  await openAuthority({ folder, now: NOW });
  await openAuthority({ folder: other, now: NOW });
  const refused = (error: unknown): boolean => isErrorCode(error, "key_missing");
  await copyFile(join(other, "ca.key"), join(folder, "ca.key"));
  await assert.rejects(openAuthority({ folder, now: NOW }), refused);
  await rm(join(folder, "ca.key"));
  await assert.rejects(openAuthority({ folder, now: NOW }), refused);
});

test("openAuthority() makes a new authority when the old one ends", async (t) => {
  const folder = await makeTempFolder(t);
  const first = await openAuthority({ folder, now: NOW });
  const second = await openAuthority({ folder, now: later(3640) });
  assert.notEqual(second.certificatePem, first.certificatePem);
});

test("ensureServerCertificate() issues one for all names, verified by the authority, for a year", async (t) => {
  const home = await makeTempFolder(t);
  const user = await findServiceUser();
  const authority = await openAuthority({ folder: join(home, "authority"), now: NOW });
  const folder = join(home, "tls");
  const request = { folder, hosts: ["192.0.2.7", "my-app-1.postgresql.example.com"], user, now: NOW };
  assert.equal(await ensureServerCertificate(authority, request), "renewed");
  const issued = await certificate(folder);
  assert.ok(issued.verify(new X509Certificate(authority.certificatePem).publicKey));
  assert.ok(issued.checkIssued(new X509Certificate(authority.certificatePem)));
  for (const address of ["127.0.0.1", "::1", "192.0.2.7"]) assert.ok(issued.checkIP(address), address);
  for (const name of ["localhost", "my-app-1.postgresql.example.com"]) assert.ok(issued.checkHost(name), name);
  assert.equal(issued.checkHost("elsewhere.example.com"), undefined);
  assert.equal(Date.parse(issued.validTo), later(365).getTime());
  assert.equal((await stat(join(folder, "server.key"))).mode & 0o007, 0);
});

test("ensureServerCertificate() keeps a good one and renews in its last month, for a new name, a new authority or a lost key", async (t) => {
  const home = await makeTempFolder(t);
  const user = await findServiceUser();
  const authority = await openAuthority({ folder: join(home, "authority"), now: NOW });
  const folder = join(home, "tls");
  const ensure = (change: { hosts?: string[]; now?: Date } = {}, by = authority): Promise<string> =>
    ensureServerCertificate(by, { folder, hosts: [], user, now: NOW, ...change });
  assert.equal(await ensure(), "renewed");
  assert.equal(await ensure(), "kept");
  assert.equal(await ensure({ now: later(334) }), "kept");
  assert.equal(await ensure({ now: later(336) }), "renewed");
  assert.equal(await ensure({ hosts: ["db.example.com"] }), "renewed");
  await rm(join(folder, "server.key"));
  assert.equal(await ensure({ hosts: ["db.example.com"] }), "renewed");
  const stranger = await openAuthority({ folder: join(home, "stranger"), now: NOW });
  assert.equal(await ensure({ hosts: ["db.example.com"] }, stranger), "renewed");
});
