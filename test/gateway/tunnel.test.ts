import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import ssh2 from "ssh2";
import { findIdentities, SSH_USER } from "../../src/cli/ssh-identity.ts";
import { openSshSession, readGateway, requestJwt, type SshLogin } from "../../src/cli/ssh-session.ts";
import { openTunnel, type TunnelOptions } from "../../src/cli/tunnel.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { TidemarkError } from "../../src/core/errors.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { until } from "../http/open-face.ts";
import { DATABASE, JWT, makeKey, type OpenGateway, openGateway } from "./open-gateway.ts";

test("openTunnel() carries local connections, one SSH connection for all, and numbers them", async (t) => {
  const open = await openGateway(t);
  const told: string[] = [];
  const port = await tunnelTo(t, open, {
    onConnect: (number) => told.push(`connect ${number}`),
    onEnd: (number) => told.push(`end ${number}`),
  });
  for (const text of ["first", "second"]) assert.equal(await echoed(port, text), text);
  await until(() => told.length === 4);
  assert.deepEqual(told, ["connect 1", "end 1", "connect 2", "end 2"]);
  const large = "tide ".repeat(1_000_000);
  assert.equal(await echoed(port, large), large);
});

test("openTunnel() takes the next free port", async (t) => {
  const open = await openGateway(t);
  const first = await tunnelTo(t, open);
  const second = await tunnelTo(t, open, { port: first });
  assert.ok(second > first && second < first + 100);
  assert.equal(await echoed(second, "x"), "x");
});

test("openTunnel() connects again when its connection broke", async (t) => {
  const open = await openGateway(t);
  const carrier = await startCarrier(t, open.gateway.port);
  const port = await tunnelTo(t, open, { gateway: { ...gatewayOf(open), port: carrier.port } });
  assert.equal(await echoed(port, "before"), "before");
  carrier.cut();
  await until(() => open.databaseConnections.size === 0);
  assert.equal(await echoed(port, "after"), "after");
});

test("openTunnel() ends a local connection that the gateway refuses, says so, and goes on", async (t) => {
  const open = await openGateway(t);
  const failures: TidemarkError[] = [];
  const port = await tunnelTo(t, open, {
    destination: { host: DATABASE.host, port: 1 },
    onFailure: (error) => failures.push(error),
  });
  assert.equal(await echoed(port, "x"), "");
  assert.equal(await echoed(port, "x"), "");
  assert.deepEqual(
    failures.map(({ code }) => code),
    ["not_found", "not_found"],
  );
});

test("openSshSession() refuses a gateway that holds another key than the API says", async (t) => {
  const open = await openGateway(t);
  const hostKey = makeKey().publicKey.toString("base64");
  await assert.rejects(openSshSession(loginOf(open, { gateway: { ...gatewayOf(open), hostKey } })), {
    code: "host_key_mismatch",
  });
});

test("openSshSession() says that no key is known, and that nobody answers", async (t) => {
  const open = await openGateway(t);
  const stranger = ssh2.utils.parseKey(makeKey().privateKey);
  assert.ok(!(stranger instanceof Error));
  const identities = [{ type: "publickey", username: SSH_USER, key: stranger }] as const;
  await assert.rejects(openSshSession(loginOf(open, { identities })), { code: "unauthenticated" });
  await open.gateway.close();
  await assert.rejects(openSshSession(loginOf(open)), { code: "platform_unreachable" });
});

test("openSshSession() ends with the signal's reason", async (t) => {
  const open = await openGateway(t);
  const reason = new Error("enough");
  await assert.rejects(openSshSession(loginOf(open, { signal: AbortSignal.abort(reason) })), reason);
});

test("requestJwt() gets the JWT of the key's user", async (t) => {
  const open = await openGateway(t);
  const client = await openSshSession(loginOf(open));
  t.after(() => client.end());
  assert.equal(await requestJwt(client), JWT);
});

test("readGateway() takes names, IPv4 and IPv6, and refuses a region without a key", () => {
  const key = "ssh-ed25519 AAAA";
  assert.deepEqual(readGateway({ ssh: "db.example.com:22", ssh_host_key: key }), {
    host: "db.example.com",
    port: 22,
    hostKey: "AAAA",
  });
  assert.equal(readGateway({ ssh: "[::1]:8422", ssh_host_key: key }).host, "::1");
  for (const region of [undefined, { ssh: "x:1", ssh_host_key: null }, { ssh: null, ssh_host_key: key }])
    assert.throws(() => readGateway(region), { code: "reply_unreadable" });
});

test("findIdentities() takes the named key, else agent and usual files, and asks for a passphrase only when it must", async (t) => {
  const userHome = await makeTempFolder(t);
  const asked: string[] = [];
  const prompt = {
    askSecret: async (question: string) => (asked.push(question), "correct horse"),
    ask: async () => "",
    confirm: async () => "",
    readSecretLine: async () => "",
  };
  const find = (file?: string, agentSocket?: string) => findIdentities({ file, agentSocket, userHome, prompt });
  await assert.rejects(find(), { code: "usage" });
  await assert.rejects(find(join(userHome, "absent")), { code: "usage" });
  assert.deepEqual(
    (await find(undefined, "/agent")).map(({ type }) => type),
    ["agent"],
  );
  const open = join(userHome, "open");
  await writeFile(open, makeKey().privateKey);
  assert.deepEqual([(await find(open)).length, asked], [1, []]);
  const encrypted = join(userHome, "encrypted");
  const pair = ssh2.utils.generateKeyPairSync("ecdsa", {
    bits: 256,
    passphrase: "correct horse",
    cipher: "aes256-ctr",
    rounds: 4,
  });
  await writeFile(encrypted, pair.private);
  assert.equal((await find(encrypted)).length, 1);
  assert.deepEqual(asked, [`Passphrase of ${encrypted}: `]);
  await writeFile(open, "no key");
  await assert.rejects(find(open), { code: "usage" });
});

function gatewayOf({ gateway, hostKey }: OpenGateway): SshLogin["gateway"] {
  return { host: "127.0.0.1", port: gateway.port, hostKey: hostKey.publicKey.split(" ")[1] ?? "" };
}

function loginOf(open: OpenGateway, change: Partial<SshLogin> = {}): SshLogin {
  const key = ssh2.utils.parseKey(open.key.privateKey);
  if (key instanceof Error) throw key;
  return {
    gateway: gatewayOf(open),
    identities: [{ type: "publickey", username: SSH_USER, key }],
    signal: new AbortController().signal,
    ...change,
  };
}

async function tunnelTo(t: TestContext, open: OpenGateway, change: Partial<TunnelOptions> = {}): Promise<number> {
  const tunnel = await openTunnel({
    ...loginOf(open),
    destination: DATABASE,
    bind: "127.0.0.1",
    port: 20_000 + (process.pid % 10_000),
    clock: systemClock,
    onConnect() {},
    onEnd() {},
    onFailure: (error) => assert.fail(error),
    ...change,
  });
  t.after(() => tunnel.close());
  return tunnel.port;
}

/** What comes back for a text; "" when the connection ends without an answer. */
async function echoed(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  let back = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    back += chunk;
    if (back.length === text.length) socket.end();
  });
  socket.write(text);
  await once(socket, "close");
  return back;
}

/** A way to the gateway that can be cut. */
async function startCarrier(t: TestContext, port: number): Promise<{ port: number; cut: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const onward = connect(port, "127.0.0.1");
    for (const each of [socket, onward]) {
      sockets.add(each);
      each.on("error", () => undefined);
    }
    socket.pipe(onward).pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  t.after(async () => {
    cut();
    server.close();
    await once(server, "close");
  });
  // A server that listens on TCP has an address of this kind.
  return { port: (server.address() as AddressInfo).port, cut };
}
