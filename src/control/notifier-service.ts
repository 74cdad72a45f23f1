import type { EventType } from "../core/event-types.ts";
import type { ObjectId } from "../core/ids.ts";
import type { Principal } from "./model.ts";
import type { PlatformName } from "./notifier-schema.ts";

/** A way to tell people. */
export interface NotificationPlatform {
  readonly name: PlatformName;
  readonly displayName: string;
  readonly description: string;
}

export interface Notifier {
  readonly id: ObjectId;
  readonly appId: ObjectId;
  readonly name: string;
  readonly platform: PlatformName;
  readonly isActive: boolean;
  /** Made with its app, for its owner. */
  readonly isDefault: boolean;
  readonly sendsAllEvents: boolean;
  /** Told of, unless it is all. */
  readonly selectedEvents: readonly EventType[];
  /** Addresses outside, and users of the app: of platform `email` only. */
  readonly emails: readonly string[];
  readonly userIds: readonly string[];
  /** Masked but for the host and the last characters: whoever knows it can post there. Null for e-mail. */
  readonly webhookUrl: string | null;
  /** What webhooks are signed with. Told once, as the notifier is made; null afterwards and for other platforms. */
  readonly signingSecret: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Fields that are absent stay as they are. */
export interface NotifierChange {
  readonly name?: string;
  readonly isActive?: boolean;
  readonly sendsAllEvents?: boolean;
  readonly selectedEvents?: readonly string[];
  readonly emails?: readonly string[];
  readonly userIds?: readonly string[];
  /** The masked form counts as absent. */
  readonly webhookUrl?: string;
}

/** One notice to one notifier, as the delivery log shows it. */
export interface Delivery {
  readonly id: ObjectId;
  /** Null for a test. */
  readonly event: { readonly id: ObjectId; readonly type: string } | null;
  readonly state: "waiting" | "delivered" | "failed";
  readonly attempts: number;
  /** What the other side said to the last attempt, or why there was no answer; null before the first. */
  readonly reply: string | null;
  /** Of the last attempt. */
  readonly durationMs: number | null;
  readonly createdAt: Date;
  /** Null unless it waits. */
  readonly nextAttemptAt: Date | null;
  readonly endedAt: Date | null;
}

export interface NotifierService {
  platforms(): readonly NotificationPlatform[];
  /** In order of creation. */
  list(principal: Principal, app: string): Promise<Notifier[]>;
  /** `invalid_fields` for what the platform can't use; `conflict` for e-mail where the operator has set no mail server, and for one too many. */
  create(
    principal: Principal,
    app: string,
    input: NotifierChange & { readonly name: string; readonly platform: string },
  ): Promise<Notifier>;
  show(principal: Principal, app: string, notifierId: string): Promise<Notifier>;
  update(principal: Principal, app: string, notifierId: string, change: NotifierChange): Promise<Notifier>;
  /** Its delivery log goes with it. */
  remove(principal: Principal, app: string, notifierId: string): Promise<void>;
  /** Sends a notice that says that it is a test, as any other is sent; the answer is that of before the first attempt. */
  test(principal: Principal, app: string, notifierId: string): Promise<Delivery>;
  /** Newest first, the newest 100. */
  deliveries(principal: Principal, app: string, notifierId: string): Promise<Delivery[]>;
}
