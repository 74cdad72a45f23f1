import { type Decoder, flag, instant, list, nullable, number, record, text } from "./decode.ts";

/** The parts of replies about notifiers that commands show. */
export interface Notifier {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly active: boolean;
  readonly send_all_events: boolean;
  readonly selected_event_ids: readonly string[];
  readonly type_data: {
    readonly emails: readonly string[] | null;
    readonly user_ids: readonly string[] | null;
    readonly webhook_url: string | null;
    readonly signing_secret: string | null;
  };
}

export interface Delivery {
  readonly id: string;
  readonly event_type: string;
  readonly status: string;
  readonly attempts: number;
  readonly reply: string | null;
  readonly created_at: Date;
}

const notifier = record<Notifier>({
  id: text,
  type: text,
  name: text,
  active: flag,
  send_all_events: flag,
  selected_event_ids: list(text),
  type_data: record<Notifier["type_data"]>({
    emails: nullable(list(text)),
    user_ids: nullable(list(text)),
    webhook_url: nullable(text),
    signing_secret: nullable(text),
  }),
});

const delivery = record<Delivery>({
  id: text,
  event_type: text,
  status: text,
  attempts: number,
  reply: nullable(text),
  created_at: instant,
});

export const notifierReply: Decoder<{ notifier: Notifier }> = record({ notifier });
export const notifiersReply: Decoder<{ notifiers: Notifier[] }> = record({ notifiers: list(notifier) });
export const deliveryReply: Decoder<{ delivery: Delivery }> = record({ delivery });
export const deliveriesReply: Decoder<{ deliveries: Delivery[] }> = record({ deliveries: list(delivery) });

export const platformsReply = record<{
  notification_platforms: { readonly id: string; readonly name: string; readonly description: string | null }[];
}>({
  notification_platforms: list(record({ id: text, name: text, description: nullable(text) })),
});
export const eventTypesReply = record<{
  event_types: { readonly id: string; readonly name: string; readonly description: string | null }[];
}>({
  event_types: list(record({ id: text, name: text, description: nullable(text) })),
});
