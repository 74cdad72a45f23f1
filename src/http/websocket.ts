import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { once } from "node:events";

/** RFC 6455: what a server appends to a client's key to show that it understood. */
const HANDSHAKE_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
const FINAL = 0x80;
const MASKED = 0x80;
const LENGTH_16_BIT = 126;
const LENGTH_64_BIT = 127;
/** Our clients send nothing but control frames, of 125 bytes at most; more than this is no client of ours. */
const RECEIVED_BYTES_MAX = 64 * 1024;
const NORMAL_CLOSURE = 1000;

/** A connection on which the server speaks and the client listens. */
export interface ServerSocket {
  /** Resolves when the client's side has taken it; rejects when the connection is gone. */
  send(text: string): Promise<void>;
  /** Says goodbye and ends the connection. */
  close(): void;
  /** Aborts when the client leaves. */
  readonly left: AbortSignal;
}

/** Whether this is a request to speak WebSocket, which we can. */
export function isWebSocketRequest({ headers }: IncomingMessage): boolean {
  return (
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-version"] === "13" &&
    headers["sec-websocket-key"] !== undefined
  );
}

/** Answers the handshake and gives the connection. What a client says is read for its goodbye and its pings only. */
export function acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): ServerSocket {
  const key = `${request.headers["sec-websocket-key"] ?? ""}${HANDSHAKE_GUID}`;
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  const left = new AbortController();
  const end = (): void => left.abort();
  socket.on("close", end).on("end", end).on("error", end);
  const goodbye = Buffer.alloc(2);
  goodbye.writeUInt16BE(NORMAL_CLOSURE);
  const close = (): void => {
    if (socket.writable) socket.end(frame(CLOSE, goodbye));
    left.abort();
  };
  listen(socket, head, { close });
  return {
    left: left.signal,
    close,
    async send(text) {
      left.signal.throwIfAborted();
      if (!socket.write(frame(TEXT, Buffer.from(text)))) await once(socket, "drain", { signal: left.signal });
    },
  };
}

function listen(socket: Duplex, head: Buffer, { close }: { close: () => void }): void {
  let received = head;
  const onData = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    for (let next = readFrame(received); next !== undefined; next = readFrame(received)) {
      received = received.subarray(next.lengthBytes);
      if (next.opcode === CLOSE) return close();
      if (next.opcode === PING && socket.writable) socket.write(frame(PONG, next.payload));
    }
    if (received.byteLength > RECEIVED_BYTES_MAX) socket.destroy();
  };
  socket.on("data", onData);
  if (head.byteLength > 0) onData(Buffer.alloc(0));
}

/** The first frame of what was received; undefined while it isn't whole. */
function readFrame(bytes: Buffer): { opcode: number; payload: Buffer; lengthBytes: number } | undefined {
  if (bytes.byteLength < 2) return undefined;
  const [first = 0, second = 0] = bytes;
  const short = second & 0x7f;
  const header = short === LENGTH_64_BIT ? 10 : short === LENGTH_16_BIT ? 4 : 2;
  const maskBytes = (second & MASKED) === 0 ? 0 : 4;
  if (bytes.byteLength < header + maskBytes) return undefined;
  const length = header === 2 ? short : header === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const lengthBytes = header + maskBytes + length;
  if (bytes.byteLength < lengthBytes) return undefined;
  const mask = bytes.subarray(header, header + maskBytes);
  const payload = Buffer.from(bytes.subarray(header + maskBytes, lengthBytes));
  if (maskBytes > 0) for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index % 4] ?? 0);
  return { opcode: first & 0x0f, payload, lengthBytes };
}

function frame(opcode: number, payload: Buffer): Buffer {
  const length = payload.byteLength;
  let header: Buffer;
  if (length < LENGTH_16_BIT) header = Buffer.from([FINAL | opcode, length]);
  else if (length <= 0xffff) {
    header = Buffer.from([FINAL | opcode, LENGTH_16_BIT, 0, 0]);
    header.writeUInt16BE(length, 2);
  } else {
    header = Buffer.alloc(10);
    header.set([FINAL | opcode, LENGTH_64_BIT]);
    header.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([header, payload]);
}
