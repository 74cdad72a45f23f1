import type { Principal } from "./model.ts";

/** What of an app, a database or a user can change. Few on purpose: whoever hears of one asks again for what belongs to it. */
export const CHANGE_TOPICS = [
  "apps",
  "account",
  "backups",
  "collaborators",
  "database",
  "events",
  "health",
  "notifiers",
  "restores",
  "variables",
  "window",
] as const;
export type ChangeTopic = (typeof CHANGE_TOPICS)[number];

/** That something has changed; what it is now is for the other services to say. */
export interface Change {
  readonly topic: ChangeTopic;
  /** Null for what is about the user, or the platform as a whole. */
  readonly app: { readonly id: string; readonly name: string } | null;
  /** Null for what is about the app itself. */
  readonly addonId: string | null;
}

/** Changes since the last time; `all` when there were too many to tell apart. */
export type ChangeBatch = "all" | readonly Change[];

/** Follows changes for one user. Holds a place among those that the user may have: close it. */
export interface ChangeFollower {
  /**
   * Resolves once something has changed that wasn't taken yet, after `timeoutMs`, or when the signal aborts. Rejects with `control_unavailable` when
   * changes may have been missed: whoever follows begins anew, and asks for everything once.
   */
  wait(options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
  /** Takes what has changed of what this user may see now, each thing once. Empty when it was nothing. */
  take(principal: Principal): Promise<ChangeBatch>;
  close(): void;
}

/** Tells of changes as they are committed, by whichever process. */
export interface ChangeService {
  /**
   * From now on. `too_many_requests` when the user, or all together, follow as often as they may; `control_unavailable` while the control database
   * can't be listened to.
   */
  follow(principal: Principal): ChangeFollower;
}
