import type { Generated } from "kysely";
import type { EventType } from "../core/event-types.ts";
import type { ObjectId } from "../core/ids.ts";

export type PlatformName = "email" | "webhook" | "slack" | "rocket_chat";

/** Who is told of an app's events. */
export interface NotifierTable {
  id: ObjectId;
  app_id: ObjectId;
  name: string;
  platform: PlatformName;
  is_active: boolean;
  /** Made with its app. */
  is_default: Generated<boolean>;
  sends_all_events: boolean;
  selected_events: EventType[];
  /** Of platform `email` only, as are the users. */
  emails: string[];
  user_ids: string[];
  /** Address and signing secret of the other platforms, wrapped by the master key. */
  wrapped_address: Buffer | null;
  created_at: Date;
  updated_at: Date;
}

/** One notice to one notifier. Rows of what has ended are the delivery log. */
export interface NotifierDeliveryTable {
  id: ObjectId;
  notifier_id: ObjectId;
  /** Null: a test. */
  event_sequence: number | null;
  state: Generated<"waiting" | "delivered" | "failed">;
  attempt: Generated<number>;
  run_after: Generated<Date>;
  lease_until: Date | null;
  /** What the other side said to the last attempt, or why there was no answer. */
  reply: string | null;
  duration_ms: number | null;
  created_at: Generated<Date>;
  ended_at: Date | null;
}
