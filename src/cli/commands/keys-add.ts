import { open } from "node:fs/promises";
import { systemErrorCode, TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";

/** No public key is longer; a wrong file isn't read into memory. */
const KEY_FILE_BYTES_MAX = 16_384;

export const keysAdd: CommandSpec = {
  name: "keys-add",
  group: "Account",
  summary: "Add a public SSH key, for tunnels to your databases",
  arguments: [
    { name: "<name>", summary: "What to call it" },
    { name: "<file>", summary: "The public key's file, which ends in .pub" },
  ],
  examples: ["keys-add laptop ~/.ssh/id_ed25519.pub"],
  async run(call) {
    const name = call.argument(0);
    const content = await readKeyFile(call.argument(1));
    const client = await call.connect();
    const { body } = await client.post("/v1/keys", { key: { name, content } }, anything);
    call.output.result(`Key '${name}' has been added.`);
    call.output.json(body);
  },
};

/** A private key never leaves this machine, not even to be refused. */
async function readKeyFile(path: string): Promise<string> {
  const content = await readStart(path);
  if (content.includes("PRIVATE KEY")) {
    throw new TidemarkError("usage", `"${path}" is a private key`, {
      hint: `Its public half is in the file that ends in .pub: ${path}.pub`,
    });
  }
  if (content.length > KEY_FILE_BYTES_MAX) throw new TidemarkError("usage", `"${path}" is too long for a public key`);
  return content;
}

async function readStart(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(KEY_FILE_BYTES_MAX + 1) });
    return buffer.toString("latin1", 0, bytesRead);
  } catch (error) {
    throw new TidemarkError("usage", `Cannot read "${path}": ${systemErrorCode(error) ?? "it is no file"}`, {
      cause: error,
    });
  }
}
