import type { Readable, Writable } from "node:stream";
import type { ObjectId } from "../core/ids.ts";
import type { Principal } from "./model.ts";

/** A one-off container as its app's people see it. */
export interface OneOff {
  readonly id: ObjectId;
  readonly appId: ObjectId;
  /** `one-off-12` */
  readonly label: string;
  /** Passwords in URIs left out. */
  readonly command: string;
  readonly size: string;
  readonly isDetached: boolean;
  readonly state: "starting" | "running" | "ended";
  readonly createdAt: Date;
  readonly readyAt: Date | null;
  readonly exitCode: number | null;
  /** Why it could not start; null otherwise. */
  readonly error: { readonly message: string; readonly hint: string | null } | null;
  /** Where to attach; for who started it, while nobody has. */
  readonly attachUrl: string | null;
}

export interface OneOffRequest {
  /** For a shell. */
  readonly command: string;
  readonly isDetached: boolean;
  /** A name of `ONE_OFF_SIZES`; null for the usual one. */
  readonly size: string | null;
  /** On top of the app's variables. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A terminal that somebody has taken. */
export interface OneOffAttachment {
  readonly output: Readable;
  readonly input: Writable;
  /** Starts the command. Call it once, when the other side is ready to read. */
  begin(): void;
  /** Bytes went either way: nobody is inactive. */
  noteActivity(): void;
  /** Whoever was attached is gone, and the command ends. Does nothing after the command's own end. */
  leave(): void;
}

export interface OneOffEnd {
  readonly exitCode: number;
  /** Ended because nothing went either way for too long. */
  readonly wasInactive: boolean;
}

export interface OneOffFile {
  /** Without folders. */
  readonly name: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * Commands in a sandbox, with an app's variables and a way to its databases. All of it needs the right to `operate` an app, but for the list. `reference`
 * is the last part of an attach address: it works for who started the one-off, until ten minutes after its end.
 */
export interface OneOffService {
  /**
   * Answers at once, `starting`. `conflict` with as many running as may, `invalid_fields` for a command, size or variable that can't be.
   */
  run(principal: Principal, app: string, request: OneOffRequest): Promise<OneOff>;
  /** Those that run, by number. */
  list(principal: Principal, app: string): Promise<OneOff[]>;
  /** By id; also one that has ended, until it is forgotten. */
  show(principal: Principal, app: string, id: string): Promise<OneOff>;
  /** By id or label. Answers at once; `not_found` when it doesn't run. */
  stop(principal: Principal, app: string, idOrLabel: string): Promise<void>;
  /** Takes the terminal; once, within a minute after it is ready. `not_found` otherwise. */
  attach(principal: Principal, reference: string): Promise<OneOffAttachment>;
  /**
   * `openFile` is called once it is certain that the file can be taken. `payload_too_large` beyond 100 MiB for all files together; `conflict` once
   * the command has begun.
   */
  upload(
    principal: Principal,
    reference: string,
    openFile: () => Promise<OneOffFile>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Before the command begins, too: it then begins with this size. */
  resize(
    principal: Principal,
    reference: string,
    size: { readonly columns: number; readonly rows: number },
  ): Promise<void>;
  /** Waits for the end, however long that takes. */
  wait(principal: Principal, reference: string, signal: AbortSignal): Promise<OneOffEnd>;
}
