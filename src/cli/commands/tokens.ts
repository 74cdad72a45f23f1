import type { CommandSpec } from "../command.ts";
import { formatDate } from "../date-text.ts";
import { printable } from "../output.ts";
import { tokensReply } from "../replies.ts";
import { renderTable } from "../table.ts";

export const tokens: CommandSpec = {
  name: "tokens",
  group: "Account",
  summary: "List your API tokens",
  examples: ["tokens"],
  async run(call) {
    const zone = await call.timeZone();
    const client = await call.connect();
    const { value, body } = await client.get("/v1/tokens", tokensReply);
    const show = (date: Date | null): string => (date === null ? "never" : formatDate(date, zone));
    const rows = value.tokens.map((token) => [
      token.id,
      printable(token.name),
      show(token.created_at),
      show(token.last_used_at),
    ]);
    call.output.result(renderTable(["ID", "Name", "Created At", "Last Used At"], rows));
    call.output.json(body);
  },
};
