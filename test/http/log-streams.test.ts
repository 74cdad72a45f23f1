import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, describe, test } from "node:test";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { ADDON_ID } from "./in-memory-services.ts";
import { LOG_LINES, LOG_TOKEN } from "./in-memory-database-nouns.ts";
import { openFace } from "./open-face.ts";

const face = await openFace({ after });
const PATH = `/downloads/logs/${ADDON_ID}`;
const SIGNED = `${PATH}?timestamp=1&token=${LOG_TOKEN}`;
/** A busy machine gets this long for one message. */
const DEADLINE_MS = 30_000;

describe("GET /downloads/logs/ADDON", () => {
  test("answers the last lines as text, as many as are asked for", async () => {
    const response = await fetch(`${face.url}${PATH}?filter=&n=2&timestamp=1&token=${LOG_TOKEN}`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("Content-Type") ?? "", /^text\/plain/);
    assert.equal(await response.text(), LOG_LINES.slice(-2).join(""));
  });

  test("refuses an address that was altered, in JSON", async () => {
    const response = await fetch(`${face.url}${PATH}?timestamp=1&token=other`);
    assert.equal(response.status, 403);
    assert.match(await response.text(), /"code":"link_expired"/);
  });

  test("as a WebSocket sends each line that is written, until the client leaves", async () => {
    const socket = new WebSocket(`${face.url.replace("http", "ws")}${SIGNED}&stream=true`);
    const [message] = await once(socket, "message", { signal: AbortSignal.timeout(DEADLINE_MS) });
    const { event, log, timestamp } = JSON.parse(String(Object(message).data));
    assert.deepEqual([event, log], ["log", "followed\n"]);
    assert.ok(!Number.isNaN(Date.parse(timestamp)));
    const closed = once(socket, "close", { signal: AbortSignal.timeout(DEADLINE_MS) });
    socket.close();
    await closed;
  });

  test("as a WebSocket refuses an address that was altered before the handshake", async () => {
    const answer = await rawUpgrade(`${PATH}?timestamp=1&token=other&stream=true`);
    assert.match(answer, /^HTTP\/1\.1 403 Forbidden\r\n/);
    assert.match(answer, /"code":"link_expired"/);
  });

  test("any other address that is asked to speak WebSocket answers as ever", async () => {
    assert.match(await rawUpgrade("/healthz"), /^HTTP\/1\.1 200 OK\r\n/);
  });

  test("a server that closes ends its streams", async () => {
    const cleanUps = collectCleanUps();
    const other = await openFace(cleanUps);
    const socket = new WebSocket(`${other.url.replace("http", "ws")}${SIGNED}`);
    await once(socket, "message", { signal: AbortSignal.timeout(DEADLINE_MS) });
    const closed = once(socket, "close", { signal: AbortSignal.timeout(DEADLINE_MS) });
    await cleanUps.run();
    await closed;
  });
});

/** What comes back until the server ends the connection. */
async function rawUpgrade(path: string): Promise<string> {
  const { hostname, port } = new URL(face.url);
  const socket = connect(Number(port), hostname);
  socket.setEncoding("utf8");
  let text = "";
  const headers = [
    `GET ${path} HTTP/1.1`,
    `Host: ${hostname}:${port}`,
    "Connection: Upgrade, close",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}`,
  ];
  socket.write(`${headers.join("\r\n")}\r\n\r\n`);
  socket.on("data", (chunk: string) => (text += chunk));
  await once(socket, "end", { signal: AbortSignal.timeout(DEADLINE_MS) });
  socket.destroy();
  return text;
}
