import type { CommandCall, CommandSpec } from "./command.ts";
import { TidemarkError } from "../core/errors.ts";
import { formatDay } from "./date-text.ts";
import { printable } from "./output.ts";
import { type Event, eventsReply } from "./replies.ts";
import type { TimeZone } from "./time-zone.ts";

export const PAGE_OPTIONS: NonNullable<CommandSpec["options"]> = [
  { flags: "--page <number>", summary: "Which page; 1 is the newest" },
  { flags: "--per-page <number>", summary: "Lines on a page, 100 at most; default 30" },
];

/** Types of events that somebody should look at. */
const BAD_NEWS = /_(failed|failure|lock|stale|delayed|overdue|lost|found)$/;

/** Prints one page of events, newest first, and says on standard error which page it is. `filter` goes into the query. */
export async function printTimeline(
  call: CommandCall,
  path: string,
  filter: Readonly<Record<string, string | undefined>> = {},
): Promise<void> {
  const query = new URLSearchParams({ page: number(call, "page", "1"), per_page: number(call, "per-page", "30") });
  for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, value);
  const zone = await call.timeZone();
  const client = await call.connect();
  const { value, body } = await client.get(`${path}?${query.toString()}`, eventsReply);
  for (const event of value.events) {
    call.output.result(line(call, event, zone));
    // The audit alone tells where somebody came from.
    if (event.address !== null) call.output.info(`from ${event.address}`);
  }
  const { current_page: page, total_pages: pages } = value.meta.pagination;
  call.output.note(`Page: ${page}, Last Page: ${pages}`);
  call.output.json(body);
}

function line(call: CommandCall, event: Event, zone: TimeZone): string {
  const title = call.output.colour(printable(event.title), BAD_NEWS.test(event.type) ? "red" : "green");
  const who = `${event.user.username} (${event.user.email})`;
  return `* ${formatDay(event.created_at, zone)} - ${title} - ${printable(event.text)} <${printable(who)}>`;
}

/** The query of a list that comes in pages, with its question mark. */
export function readPageQuery(call: CommandCall): string {
  const query = new URLSearchParams({ page: number(call, "page", "1"), per_page: number(call, "per-page", "30") });
  return `?${query.toString()}`;
}

function number(call: CommandCall, name: string, fallback: string): string {
  const text = call.option(name) ?? fallback;
  if (/^[1-9]\d{0,6}$/.test(text)) return text;
  throw new TidemarkError("usage", `--${name} is "${text}", expected a number from 1 on`);
}
