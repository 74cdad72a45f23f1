// oxlint-disable no-underscore-dangle -- the library names its inside so
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import ssh2, { type Client, type ClientChannel } from "ssh2";
import protocolUtils from "ssh2/lib/protocol/utils.js";
import { DATABASE, JWT, makeKey, type OpenGateway, openGateway } from "./open-gateway.ts";
import { SteppedClock } from "../harness/stepped-clock.ts";
import { until } from "../http/open-face.ts";

test("startGateway() carries bytes to the database of a URI's host and port, and back", async (t) => {
  const open = await openGateway(t);
  const client = await open.connect();
  const channel = await tunnel(client);
  const sent = Buffer.alloc(5_000_000, "tide");
  channel.end(sent);
  const received = Buffer.concat(await channel.toArray());
  assert.equal(received.compare(sent), 0);
});

test("startGateway() offers GCM first, and proves that it holds the host key", async (t) => {
  const open = await openGateway(t);
  let shown: string | undefined;
  let cipher: string | undefined;
  const client = new ssh2.Client();
  client.on("handshake", (negotiated) => (cipher = negotiated.cs.cipher));
  const ready = once(client, "ready");
  client.connect({
    host: "127.0.0.1",
    port: open.gateway.port,
    username: "git",
    privateKey: open.key.privateKey,
    hostVerifier: (key: Buffer) => ((shown = `ssh-ed25519 ${key.toString("base64")}`), true),
  });
  await ready;
  client.end();
  assert.equal(shown, open.hostKey.publicKey);
  assert.equal(cipher, "aes128-gcm@openssh.com");
});

test("startGateway() lets nobody in but user git with a known key", async (t) => {
  const open = await openGateway(t);
  await assert.rejects(open.connect({ privateKey: makeKey().privateKey }), /authentication methods failed/);
  await assert.rejects(open.connect({ username: "root" }), /authentication methods failed/);
  const { privateKey: _, ...nobody } = { privateKey: "", password: "x" };
  await assert.rejects(open.connect({ ...nobody, authHandler: ["none", "password", "keyboard-interactive"] }));
});

for (const destination of [
  { host: "127.0.0.1", port: DATABASE.port },
  { host: DATABASE.host, port: 5432 },
  { host: "169.254.169.254", port: 80 },
  { host: "localhost", port: 22 },
  { host: `${DATABASE.host}.`, port: DATABASE.port },
  { host: "x".repeat(30_000), port: 1 },
])
  test(`startGateway() refuses a tunnel to ${destination.host.slice(0, 40)}:${destination.port}`, async (t) => {
    const open = await openGateway(t);
    const client = await open.connect();
    await assert.rejects(tunnel(client, destination), /Channel open failure/);
    assert.equal(open.databaseConnections.size, 0);
    (await tunnel(client)).end();
  });

test("startGateway() refuses shell, command, files, terminal, agent, display and listening", async (t) => {
  const open = await openGateway(t);
  const client = await open.connect({ strictVendor: false });
  const refused = /Unable to|open failure/;
  await assert.rejects(promisify(client.exec.bind(client))("id"), refused);
  await assert.rejects(
    new Promise((resolve, reject) => client.shell((error, shell) => (error ? reject(error) : resolve(shell)))),
    refused,
  );
  await assert.rejects(promisify(client.sftp.bind(client))(), refused);
  await assert.rejects(promisify(client.forwardIn.bind(client))("127.0.0.1", 0), refused);
  await assert.rejects(
    new Promise((resolve, reject) =>
      client.openssh_forwardOutStreamLocal("/var/run/x.sock", (error, channel) =>
        error ? reject(error) : resolve(channel),
      ),
    ),
    refused,
  );
});

test("startGateway() ends a connection whose destinations are refused again and again", async (t) => {
  const open = await openGateway(t);
  const client = await open.connect();
  const over = ended(client);
  for (let port = 1; port <= 30; port++) tunnel(client, { host: "127.0.0.1", port }).catch(() => undefined);
  await over;
});

test("startGateway() gives a JWT to who asks for a login by key, in both ways", async (t) => {
  const open = await openGateway(t);
  const client = await open.connect();
  const subsystem = await new Promise<ClientChannel>((resolve, reject) =>
    client.subsys("login@tidemark", (error, channel) => (error ? reject(error) : resolve(channel))),
  );
  assert.equal(await text(subsystem), JWT);
  assert.equal(await loginAsTheOriginal(open), JWT);
});

test("startGateway() ends connections of a removed key, and tunnels to a database that may no longer be reached", async (t) => {
  const clock = new SteppedClock(new Date("2026-11-22T14:00:00Z"));
  const open = await openGateway(t, { clock });
  const [first, second] = [await open.connect(), await open.connect()];
  const channel = await tunnel(first);
  channel.resume();
  const closed = once(channel, "close");
  open.removeRight();
  await whileTimeGoesBy(clock, closed);
  await until(() => open.databaseConnections.size === 0);
  const over = Promise.all([ended(first), ended(second)]);
  open.removeKey();
  await whileTimeGoesBy(clock, over);
});

test("startGateway() bears what isn't SSH, and connections that say nothing", async (t) => {
  const open = await openGateway(t);
  const garbage = ["GET / HTTP/1.1\r\n\r\n", "SSH-1.5-old\r\n", "SSH-2.0-x\r\n\0\0\0\0garbage", "\0".repeat(100_000)];
  for (const bytes of [...garbage, `SSH-2.0-x\r\n${"\xff".repeat(100_000)}`, "x".repeat(1_000_000)]) {
    const socket = connect(open.gateway.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.resume();
    const closed = once(socket, "close");
    socket.end(bytes, "latin1");
    await closed;
  }
  (await tunnel(await open.connect())).end();
});

test("startGateway() takes so many silent connections from one address, and serves again when they leave", async (t) => {
  const open = await openGateway(t);
  const silent = Array.from({ length: 40 }, () => connect(open.gateway.port, "127.0.0.1"));
  t.after(() => silent.forEach((socket) => socket.destroy()));
  let left = 0;
  for (const socket of silent) {
    socket.on("error", () => undefined);
    socket.resume();
    socket.once("close", () => (left += 1));
  }
  await until(() => left === 20);
  for (const socket of silent) socket.destroy();
  await until(() => left === 40);
  (await tunnel(await open.connect())).end();
});

test("startGateway() opens so many tunnels on a connection", async (t) => {
  const open = await openGateway(t);
  const client = await open.connect();
  const results = await Promise.allSettled(Array.from({ length: 80 }, () => tunnel(client)));
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 64);
  assert.equal(open.opened.length, 64);
});

test("startGateway() cuts a client that sends more than the window it was granted", async (t) => {
  const open = await openGateway(t, { onConnection: (socket) => socket.pause() });
  const client = await open.connect();
  const channel = await tunnel(client);
  channel.on("error", () => undefined);
  // What the gateway granted, overruled: the library obeys its own count.
  (channel as unknown as { outgoing: { window: number } }).outgoing.window = 2 ** 31;
  const over = ended(client);
  // Of a length that doesn't divide the window: at a window of exactly 0 the gateway's library drops what comes.
  const chunk = Buffer.alloc(30_000);
  for (let sent = 0; sent < 1000; sent++) channel.write(chunk);
  await over;
});

test("startGateway() reads a database no faster than its client takes the answer", async (t) => {
  const answerBytes = 256 * 1024 * 1024;
  let writtenBytes = 0;
  const open = await openGateway(t, {
    onConnection: (socket) => {
      const chunk = Buffer.alloc(64 * 1024);
      const write = (): void => {
        while (writtenBytes < answerBytes) {
          writtenBytes += chunk.length;
          if (!socket.write(chunk)) return void socket.once("drain", write);
        }
      };
      write();
    },
  });
  const client = await open.connect();
  const channel = await tunnel(client);
  // A window as large as the protocol has them, and a client that then reads nothing at all.
  const inside = client as unknown as ClientInside;
  inside._protocol.channelWindowAdjust((channel as unknown as { outgoing: { id: number } }).outgoing.id, 2 ** 31);
  inside._sock.pause();
  let quietPolls = 0;
  for (let last = -1; quietPolls < 5; quietPolls = last === writtenBytes ? quietPolls + 1 : 0) {
    last = writtenBytes;
    await setTimeout(200);
  }
  assert.ok(writtenBytes < answerBytes / 4, `${writtenBytes} bytes were read ahead`);
});

test("close() ends tunnels that are in use", async (t) => {
  const open = await openGateway(t);
  const client = await open.connect();
  const channel = await tunnel(client);
  const over = ended(client);
  channel.write("x");
  await open.gateway.close();
  await over;
  await until(() => open.databaseConnections.size === 0);
});

/** Moves the clock by a second again and again until the promise is settled. */
async function whileTimeGoesBy(clock: SteppedClock, awaited: Promise<unknown>): Promise<void> {
  let isOver = false;
  awaited.finally(() => (isOver = true)).catch(() => undefined);
  await until(() => {
    clock.advance(1000);
    return isOver;
  });
  await awaited;
}

/** The end of a connection, whatever error it ends with. */
async function ended(client: Client): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  client.once("close", resolve);
  await promise;
}

async function tunnel(client: Client, destination: { host: string; port: number } = DATABASE): Promise<ClientChannel> {
  return await promisify(client.forwardOut.bind(client))("0.0.0.0", 0, destination.host, destination.port);
}

/**
 * As the original's client does it: on a new session, an empty channel request of its own kind, answered by one that carries the JWT. The library
 * can do neither, so this goes by its inside.
 */
async function loginAsTheOriginal(open: OpenGateway): Promise<string> {
  const client = await open.connect();
  // Its types leave the inside out.
  const inside = client as unknown as ClientInside;
  const { promise, resolve } = Promise.withResolvers<string>();
  inside._protocol._handlers.CHANNEL_REQUEST = (_protocol, _channel, type, _reply, data) => {
    if (type === LOGIN_REQUEST) resolve(data.toString());
  };
  const opened = (error: Error | undefined, channel: { outgoing: { id: number } }): void => {
    assert.equal(error, undefined);
    const payload = Buffer.alloc(9 + LOGIN_REQUEST.length + 1);
    payload.writeUInt8(98, 0);
    payload.writeUInt32BE(channel.outgoing.id, 1);
    payload.writeUInt32BE(LOGIN_REQUEST.length, 5);
    payload.write(LOGIN_REQUEST, 9);
    const { write } = inside._protocol._packetRW;
    const start = write.allocStart;
    const packet = write.alloc(payload.length);
    packet.set(payload, start);
    protocolUtils.sendPacket(inside._protocol, write.finalize(packet));
  };
  opened.type = "session";
  inside._protocol.session(inside._chanMgr.add(opened), 2 ** 21, 2 ** 15);
  return promise;
}

const LOGIN_REQUEST = "auth.v2@scalingo.com";

interface ClientInside {
  readonly _protocol: {
    readonly _handlers: {
      CHANNEL_REQUEST: (protocol: unknown, channel: number, type: string, reply: boolean, data: Buffer) => void;
    };
    readonly _packetRW: {
      readonly write: { readonly allocStart: number; alloc(bytes: number): Buffer; finalize(packet: Buffer): Buffer };
    };
    session(channel: number, windowBytes: number, packetBytes: number): void;
    channelWindowAdjust(channel: number, bytes: number): void;
  };
  readonly _sock: { pause(): void };
  readonly _chanMgr: { add(opened: unknown): number };
}
