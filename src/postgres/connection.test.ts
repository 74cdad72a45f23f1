import assert from "node:assert/strict";
import { test } from "node:test";
import { type Connection, clientConfig, connectionUri, libpqEnvironment } from "./connection.ts";

const overTcp: Connection = {
  host: "127.0.0.1",
  port: 15432,
  user: "my_app_1",
  password: "p@ss/w:rd",
  database: "my_app_1",
};
const overSocket: Connection = { host: "/run/tidemark-0a1b2c3d", port: 5432, user: "tidemark", database: "postgres" };

test("connectionUri() escapes every part and asks for TLS by default", () => {
  assert.equal(connectionUri(overTcp), "postgresql://my_app_1:p%40ss%2Fw%3Ard@127.0.0.1:15432/my_app_1?sslmode=prefer");
});

test("connectionUri() is read back by URL when the host is an IPv6 address", () => {
  const uri = new URL(connectionUri({ ...overTcp, host: "::1" }));
  assert.equal(uri.hostname, "[::1]");
  assert.equal(decodeURIComponent(uri.password), overTcp.password);
});

test("connectionUri() names the TLS mode that the connection demands", () => {
  assert.match(connectionUri({ ...overTcp, tls: { mode: "require" } }), /\?sslmode=require$/);
});

test("libpqEnvironment() carries the password and nothing of the caller's environment", () => {
  const environment = libpqEnvironment(overTcp);
  assert.equal(environment.PGPASSWORD, overTcp.password);
  assert.equal(environment.PGSSLMODE, "prefer");
  assert.equal(environment.PGPASSFILE, "/dev/null");
  assert.ok(Object.keys(environment).every((name) => name.startsWith("PG")));
});

test("libpqEnvironment() asks for no TLS on a socket and sets no password that isn't given", () => {
  const environment = libpqEnvironment(overSocket);
  assert.equal(environment.PGSSLMODE, "disable");
  assert.equal("PGPASSWORD" in environment, false);
});

test("libpqEnvironment() names the authority's file when the server's name is to be checked", () => {
  const tls = { mode: "verify-full", authorityPem: "PEM", authorityFile: "/home/authority/ca.crt" } as const;
  const environment = libpqEnvironment({ ...overTcp, tls });
  assert.equal(environment.PGSSLMODE, "verify-full");
  assert.equal(environment.PGSSLROOTCERT, "/home/authority/ca.crt");
});

test("clientConfig() verifies the certificate only when the mode says so", () => {
  const tls = { mode: "verify-full", authorityPem: "PEM", authorityFile: "/x" } as const;
  assert.equal(clientConfig(overSocket).ssl, false);
  assert.deepEqual(clientConfig({ ...overTcp, tls: { mode: "require" } }).ssl, { rejectUnauthorized: false });
  assert.deepEqual(clientConfig({ ...overTcp, tls }).ssl, { ca: "PEM", rejectUnauthorized: true });
});
