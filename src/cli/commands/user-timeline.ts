import type { CommandSpec } from "../command.ts";
import { PAGE_OPTIONS, printTimeline } from "../timeline.ts";

export const userTimeline: CommandSpec = {
  name: "user-timeline",
  group: "Account",
  summary: "Show what happened to your apps and your account, newest first",
  options: PAGE_OPTIONS,
  examples: ["user-timeline", "user-timeline --page 2"],
  run: (call) => printTimeline(call, "/v1/events"),
};
