// oxlint-disable no-underscore-dangle -- the library names its inside so
import type { Connection } from "ssh2";
// The library offers no way to send a channel request of its own kind; this is what its own requests are sent with.
import protocolUtils from "ssh2/lib/protocol/utils.js";
import { assert } from "../core/assert.ts";

/** The channel request by which clients of the original log in: they send it empty, and wait for one of the same name that carries a JWT. */
const LOGIN_REQUEST = "auth.v2@scalingo.com";
/** RFC 4254, 5.4. */
const MESSAGE_CHANNEL_REQUEST = 98;

/** What we use of the inside of the library (ssh2 1.17), which drops channel requests that it doesn't know. */
interface Internals {
  readonly _protocol: {
    readonly _handlers: {
      CHANNEL_REQUEST: (protocol: unknown, channel: number, type: string, wantReply: boolean, data: unknown) => void;
    };
    readonly _packetRW: {
      readonly write: {
        readonly allocStart: number;
        alloc(payloadBytes: number): Buffer;
        finalize(packet: Buffer): Buffer;
      };
    };
  };
  readonly _chanMgr: { get(channel: number): { readonly _chanInfo?: { readonly outgoing: { readonly id: number } } } };
}

/** Answers each login request on a session of the connection with the text that `makeJwt` gives; not at all when it rejects. */
export function answerLoginRequests(
  connection: Connection,
  { makeJwt, onFailure }: { makeJwt: () => Promise<string>; onFailure: (thrown: unknown) => void },
): void {
  const inside = internalsOf(connection);
  const handlers = inside._protocol._handlers;
  const known = handlers.CHANNEL_REQUEST;
  handlers.CHANNEL_REQUEST = (protocol, channel, type, wantReply, data) => {
    if (type !== LOGIN_REQUEST) return known(protocol, channel, type, wantReply, data);
    makeJwt().then((jwt) => sendLogin(inside, channel, jwt), onFailure);
  };
}

function internalsOf(connection: Connection): Internals {
  // The library's types leave its inside out; what we need of it is checked before it is used.
  const inside = connection as unknown as Internals;
  assert(
    typeof inside._protocol._handlers.CHANNEL_REQUEST === "function",
    "ssh2 handles channel requests in one place",
  );
  return inside;
}

/** The payload is the JWT's bytes as they are, without a length before them. */
function sendLogin({ _protocol: protocol, _chanMgr: channels }: Internals, channel: number, jwt: string): void {
  const remoteChannel = channels.get(channel)?._chanInfo?.outgoing.id;
  // The client closed it meanwhile.
  if (remoteChannel === undefined) return;
  const type = Buffer.from(LOGIN_REQUEST);
  const head = Buffer.alloc(9 + type.length + 1);
  head.writeUInt8(MESSAGE_CHANNEL_REQUEST, 0);
  head.writeUInt32BE(remoteChannel, 1);
  head.writeUInt32BE(type.length, 5);
  // The byte after the type stays 0: no reply is wanted.
  head.set(type, 9);
  const payload = Buffer.concat([head, Buffer.from(jwt)]);
  const { write } = protocol._packetRW;
  const start = write.allocStart;
  const packet = write.alloc(payload.length);
  packet.set(payload, start);
  protocolUtils.sendPacket(protocol, write.finalize(packet));
}
