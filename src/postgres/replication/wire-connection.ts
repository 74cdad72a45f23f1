import type { Duplex } from "node:stream";
import type { Connection, Submittable } from "pg";

/**
 * What `pg` offers a command of our own: parts of its connection that its type declarations leave out
 * (node_modules/pg/lib/connection.js).
 */
export interface WireConnection {
  readonly stream: Duplex;
  query(text: string): void;
  /** Sends one CopyData message. */
  sendCopyFromChunk(chunk: Uint8Array): void;
  /** Sends CopyDone. */
  endCopyFrom(): void;
  on(event: "copyDone" | "replicationStart", listener: () => void): unknown;
  off(event: "copyDone" | "replicationStart", listener: () => void): unknown;
}

export interface DataRowMessage {
  readonly fields: readonly (string | null)[];
}

export interface CopyDataMessage {
  /** A view of a buffer that the parser reuses: copy it before the call returns. */
  readonly chunk: Uint8Array;
}

/** The calls that `pg` makes to a command while it is the active one (node_modules/pg/lib/client.js). */
export interface WireCommand extends Submittable {
  handleRowDescription(): void;
  handleDataRow(message: DataRowMessage): void;
  handleCopyData(message: CopyDataMessage): void;
  handleCommandComplete(): void;
  handleReadyForQuery(): void;
  handleError(error: Error): void;
}

/** @param connection as `submit` gets it */
export function toWireConnection(connection: Connection): WireConnection {
  // The declared class leaves out the copy messages; pg 8 has had all of these methods since 2010.
  return connection as unknown as WireConnection;
}
