import type { CommandSpec } from "../command.ts";

export const serve: CommandSpec = {
  name: "serve",
  group: "Platform",
  summary: "Run the platform on this machine",
  details: "Settings come from the environment; docs/operating/configuration.md lists them. SIGTERM stops it.",
  options: [{ flags: "--roles <list>", summary: "api,scheduler,worker,host,gateway, or some of them (all)" }],
  examples: ["serve", "serve --roles api,scheduler"],
  handlesSignals: true,
  async run(call) {
    call.endWith(await call.local.serve({ roles: call.option("roles") }));
  },
};
