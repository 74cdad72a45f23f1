import type { CommandSpec } from "../command.ts";
import { PAGE_OPTIONS, printTimeline } from "../timeline.ts";

export const audit: CommandSpec = {
  name: "audit",
  group: "Platform",
  summary: "Show who did what on the whole platform, newest first; for its owner",
  options: [
    { flags: "--user <name>", summary: "Only what this user did" },
    { flags: "--type <type>", summary: "Only events of this type" },
    ...PAGE_OPTIONS,
  ],
  examples: ["audit", "audit --user ada --type login_success"],
  run: (call) => printTimeline(call, "/v1/platform/audit", { user: call.option("user"), type: call.option("type") }),
};
