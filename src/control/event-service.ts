import type { ObjectId } from "../core/ids.ts";
import type { Principal } from "./model.ts";

/** A page of a list, counted from 1. */
export interface PageRequest {
  readonly page: number;
  readonly perPage: number;
}

export interface Page<Item> extends PageRequest {
  readonly items: readonly Item[];
  readonly totalCount: number;
}

/** What happened, as it is shown. */
export interface Event {
  readonly id: ObjectId;
  /** A row of `EVENT_TYPES`, or a type of an earlier version. */
  readonly type: string;
  readonly createdAt: Date;
  readonly appId: string | null;
  readonly appName: string | null;
  readonly resourceId: string | null;
  /** Null: the platform itself. */
  readonly actor: { readonly id: string; readonly username: string; readonly email: string } | null;
  readonly data: unknown;
  /** `Database Backup Succeeded` */
  readonly title: string;
  /** What happened, for people; one line. */
  readonly text: string;
}

/** An event with what only the owner of the platform sees: where it came from. */
export interface AuditedEvent extends Event {
  readonly address: string | null;
  readonly apiTokenId: string | null;
}

/** Narrows the audit; what is left out doesn't. */
export interface AuditFilter {
  readonly app?: string;
  /** A user's name, as the actor. */
  readonly username?: string;
  readonly type?: string;
}

/** What happened and who did it. Newest first, each. */
export interface EventService {
  /** Of one app. */
  ofApp(principal: Principal, app: string, page: PageRequest): Promise<Page<Event>>;
  /** Of all apps of the user, removed ones included, and of the user's own account. */
  ofUser(principal: Principal, page: PageRequest): Promise<Page<Event>>;
  /** Of everything and everybody; for the owner of the platform only (`forbidden`). */
  audit(principal: Principal, filter: AuditFilter, page: PageRequest): Promise<Page<AuditedEvent>>;
}
