import type { CommandSpec } from "../command.ts";
import { PAGE_OPTIONS, printTimeline } from "../timeline.ts";
import { route } from "../transport.ts";

export const timeline: CommandSpec = {
  name: "timeline",
  group: "Apps",
  summary: "Show what happened to an app and its databases, newest first",
  options: PAGE_OPTIONS,
  examples: ["--app my-app timeline", "--app my-app timeline --page 2 --per-page 100"],
  run: (call) => printTimeline(call, route`/v1/apps/${call.app()}/events`),
};
